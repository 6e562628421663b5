// Test support: a whole, certified package that segments volumes, made in milliseconds and without Python.
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { preprocessVolume } from '../../imaging/preprocess_volume.ts'
import type { Certificate } from '../../schema/model_package.ts'
import { PREPROCESS_CODE_VERSION, type VolumeSpec } from '../../schema/preprocess.ts'
import type { SegmentPackage } from '../../schema/segment_package.ts'
import type { CertifiedCase } from '../certify_segment.ts'
import { goldenVolumes } from '../golden_volume.ts'
import { outputsOf, probabilitiesOf } from '../segment.ts'
import { openSession, type Session } from '../session.ts'
import { completeSegmentPackage } from '../write_segment.ts'
import { tinyVolumeOnnx } from './tiny_volume_onnx.ts'

export const TINY_VOLUME_SPEC: VolumeSpec = {
  kind: 'volume',
  channels: 1,
  orientation: 'RAS',
  spacing_mm: [2, 1.5, 1.2],
  resample: 'linear',
  crop: 'none',
  size: null,
  intensity: [{ kind: 'zscore' }],
  dtype: 'float16',
}

/** The same of RGB images without a place in a patient, and the window that goes with it. */
export const TINY_IMAGE_SPEC: VolumeSpec = {
  ...TINY_VOLUME_SPEC,
  channels: 3,
  spacing_mm: [1, 1, 1],
  intensity: Array(3).fill({ kind: 'window', low: 0, high: 255 }),
  dtype: 'uint8',
  distance_unit: 'px',
}
export const TINY_IMAGE: TinySegmenterOptions = { spec: TINY_IMAGE_SPEC, patch: [1, 20, 24] }

export interface TinySegmenterOptions {
  spec?: Partial<VolumeSpec>
  /** [z, y, x] of a window. */
  patch?: readonly [number, number, number]
  model?: Partial<Omit<SegmentPackage, 'files' | 'preprocess' | 'input'>>
  /** Networks, whose probabilities are averaged. */
  networks?: number
  /** Files of the real cases that it is certified on. */
  cases?: readonly (readonly Uint8Array[])[]
}

/** Writes a package to `dir`; its reference is its own networks. */
export async function writeTinySegmenter(
  dir: string,
  options: TinySegmenterOptions = {},
): Promise<Certificate> {
  const spec = { ...TINY_VOLUME_SPEC, ...options.spec }
  const model = tinyModel(spec, options)
  const { patch_size: patch, dtype } = model.input
  const sessions: Session[] = []
  for (const [n, { file, normalization }] of model.networks.entries()) {
    const path = join(dir, file)
    await mkdir(dirname(path), { recursive: true })
    const graph = { channels: spec.channels, patch, outputs: outputsOf(model), dtype, normalization }
    await writeFile(path, tinyVolumeOnnx({ ...graph, seed: n + 1 }))
    sessions.push(await openSession(path, { threads: 1 }))
  }
  const golden = await goldenVolumes(spec, patch)
  const goldenProbabilities: Float32Array[] = []
  for (const { stored } of golden) goldenProbabilities.push(await probabilitiesOf(stored, model, sessions))
  for (const session of sessions) await session.close()
  const cases: CertifiedCase[] = []
  for (const files of options.cases ?? []) {
    const { data: stored } = await preprocessVolume(files, spec)
    cases.push({ read: async () => [...files], stored, probabilities: null, mask: null })
  }
  return completeSegmentPackage(dir, {
    model,
    golden,
    goldenProbabilities,
    patches: [],
    cases,
    reference: 'its own networks',
    evaluations: [],
    created: new Date(0),
    tolerance: 1e-4,
    served: async (loaded, files) => (await loaded.segment(files)).mask,
  })
}

function tinyModel(
  spec: VolumeSpec,
  { model, networks = 1, patch = [16, 20, 12] }: TinySegmenterOptions,
): Omit<SegmentPackage, 'files'> {
  const { exclusive } = model?.task ?? { exclusive: true }
  const isFloat = spec.dtype === 'float16' || spec.dtype === 'float32'
  const isImage = spec.distance_unit === 'px'
  const normalization = {
    ...(isFloat
      ? { offset: 0, scale: 1 }
      : spec.dtype === 'uint8'
        ? { offset: 0, scale: 1 / 255 }
        : { offset: 32768, scale: 1 / 65535 }),
    // About the middle of windowed values, so that each structure is found somewhere.
    mean: Array.from({ length: spec.channels }, (_, c) => (isImage ? 0.3 : 0) + 0.1 * (c + 1)),
    std: Array.from({ length: spec.channels }, (_, c) => (isImage ? 0.15 : 0.8) + 0.1 * c),
  }
  return {
    format: 1,
    name: 'tiny-volume',
    version: '1',
    status: 'draft',
    synthetic: false,
    task: {
      kind: 'segment',
      structures: [
        { name: 'body', values: [2] },
        { name: 'tail', values: [5] },
      ],
      exclusive: true,
    },
    preprocess: spec,
    preprocess_code_version: PREPROCESS_CODE_VERSION,
    input: { name: 'image', patch_size: [...patch], dtype: spec.dtype },
    output: { name: 'logits', activation: exclusive ? 'softmax' : 'sigmoid' },
    networks: Array.from({ length: networks }, (_, n) => ({
      file: n === 0 ? 'model.onnx' : `ensemble/${n + 1}/model.onnx`,
      normalization,
      run: `tiny-${n + 1}`,
      step: 1,
      split_id: '0'.repeat(64),
    })),
    overlap: 0.5,
    inference: { mirror: [], largest_component: [], reasons: [] },
    fingerprint: null,
    provenance: {
      fiducial_version: '0.0.0',
      commit: null,
      dirty: null,
      node_lock_sha256: null,
      python_lock_sha256: null,
      created: new Date(0).toISOString(),
      recipe: null,
      recipe_hash: null,
      set_id: null,
      split_id: null,
      run: 'tiny-1',
      step: null,
      weights_sha256: null,
      seed: null,
    },
    ...model,
  }
}
