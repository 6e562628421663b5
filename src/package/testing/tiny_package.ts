// Test support: a whole, certified package around a tiny linear network, made in milliseconds and without Python.
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Certificate, ModelPackage } from '../../schema/model_package.ts'
import { type ImageSpec, PREPROCESS_CODE_VERSION, type VolumeSpec } from '../../schema/preprocess.ts'
import { goldenInputs } from '../golden.ts'
import { networkInput, runNetwork } from '../infer.ts'
import { openSession } from '../session.ts'
import { completePackage, type PackageMaterials } from '../write.ts'
import { type TinyModel, tinyOnnx, tinyWeights } from './tiny_onnx.ts'

export const TINY_SPEC: ImageSpec = {
  kind: 'image',
  size: [24, 20],
  channels: 1,
  fit: 'squash',
  resample: 'bilinear',
  antialias: true,
  pad_value: 0,
  window: null,
  exif_orientation: true,
  flip: [],
  channel_order: 'rgb',
  stain: null,
  dtype: 'uint8',
}

/** Of two channels and unequal sides. */
export const TINY_VOLUME_SPEC: VolumeSpec & { size: [number, number, number] } = {
  kind: 'volume',
  channels: 2,
  orientation: 'RAS',
  spacing_mm: [2, 1.5, 1],
  resample: 'linear',
  crop: 'none',
  size: [6, 9, 8],
  intensity: [{ kind: 'zscore' }, { kind: 'zscore' }],
  dtype: 'float16',
}

export interface TinyPackageOptions {
  spec?: Partial<ImageSpec>
  /** Volumes instead of images. */
  volumes?: typeof TINY_VOLUME_SPEC
  labels?: string[]
  model?: Partial<Omit<ModelPackage, 'files' | 'preprocess' | 'input'>>
  /** Label → threshold. */
  thresholds?: Record<string, number>
  onnx?: Partial<TinyModel>
  /** float32: the graph holds no normalisation. */
  dtype?: ModelPackage['input']['dtype']
  validation?: PackageMaterials['validation']
}

/** Writes a package to `dir`; its reference is its own network. */
export async function writeTinyPackage(dir: string, options: TinyPackageOptions = {}): Promise<Certificate> {
  const spec = options.volumes ?? { ...TINY_SPEC, ...options.spec }
  const model = tinyModel(spec, options)
  await mkdir(dir, { recursive: true })
  await writeFile(join(dir, 'model.onnx'), tinyOnnx(tinyGraph(model, options.onnx)))
  const { inputs } = await goldenInputs(spec)
  const session = await openSession(join(dir, 'model.onnx'), { threads: 1 })
  const whole = { ...model, files: {} }
  const goldenLogits = await runNetwork(
    inputs.map(({ stored }) => networkInput(stored, whole)),
    whole,
    session,
  )
  await session.close()
  return completePackage(dir, {
    model,
    golden: inputs,
    goldenLogits,
    validation: options.validation ?? [],
    reference: 'its own network',
    evaluation: null,
    created: new Date(0),
    tolerance: 1e-4,
    async served(loaded, cases) {
      const named = cases.map((bytes, i) => ({ name: `${i}.png`, bytes }))
      const { predictions } = await loaded.predict(named)
      return predictions.map(({ scores }) => loaded.model.task.labels.map((label) => scores[label]!))
    },
  })
}

const SCALES = {
  uint8: { offset: 0, scale: 1 / 255 },
  int16: { offset: 32768, scale: 1 / 65535 },
  float16: { offset: 0, scale: 1 },
  float32: { offset: 0, scale: 1 },
}

function tinyModel(
  spec: ImageSpec | typeof TINY_VOLUME_SPEC,
  options: TinyPackageOptions,
): Omit<ModelPackage, 'files'> {
  const labels = options.labels ?? ['nodule', 'effusion']
  const thresholds = options.thresholds ?? Object.fromEntries(labels.map((label) => [label, 0.5]))
  const { exclusive = false } = options.model?.task ?? {}
  return {
    format: 1,
    name: 'tiny',
    version: '1',
    status: 'draft',
    synthetic: false,
    task: { kind: 'classify', labels, exclusive },
    preprocess: spec,
    preprocess_code_version: PREPROCESS_CODE_VERSION,
    input: {
      name: 'image',
      shape: [spec.channels, ...spec.size],
      dtype: options.dtype ?? spec.dtype,
      normalization: {
        ...SCALES[spec.dtype],
        mean: [0.4, 0.5, 0.45].slice(0, spec.channels),
        std: [0.2, 0.25, 0.3].slice(0, spec.channels),
      },
    },
    output: { name: 'logits', activation: exclusive ? 'softmax' : 'sigmoid' },
    calibration: { kind: 'none' },
    operating_points: Object.fromEntries(
      Object.entries(exclusive ? {} : thresholds).map(([label, threshold]) => [
        label,
        {
          label,
          threshold,
          rule: { maximize: 'youden', subject_to: {} },
          attained: true,
          chosen_on: 'val',
          metrics: {},
        },
      ]),
    ),
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
      run: 'tiny',
      step: null,
      weights_sha256: null,
      seed: null,
    },
    ...options.model,
  }
}

function tinyGraph(model: Omit<ModelPackage, 'files'>, changes: Partial<TinyModel> = {}): TinyModel {
  const { shape, dtype, normalization } = model.input
  const L = model.task.labels.length
  return {
    shape,
    dtype,
    normalization: dtype === model.preprocess.dtype ? normalization : null,
    weight: tinyWeights(shape, L),
    bias: Array.from({ length: L }, (_, l) => 0.1 * l),
    ...changes,
  }
}
