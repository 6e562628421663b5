// Test support: a whole, certified package around a tiny linear network, made in milliseconds and without Python.
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Certificate, ModelPackage } from '../../schema/model_package.ts'
import { type ImageSpec, PREPROCESS_CODE_VERSION } from '../../schema/preprocess.ts'
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

export interface TinyPackageOptions {
  spec?: Partial<ImageSpec>
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
  const spec = { ...TINY_SPEC, ...options.spec }
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
    async served(loaded, files) {
      const named = files.map((bytes, i) => ({ name: `${i}.png`, bytes }))
      const { predictions } = await loaded.predict(named)
      return predictions.map(({ scores }) => loaded.model.task.labels.map((label) => scores[label]!))
    },
  })
}

function tinyModel(spec: ImageSpec, options: TinyPackageOptions): Omit<ModelPackage, 'files'> {
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
        ...(spec.dtype === 'uint8' ? { offset: 0, scale: 1 / 255 } : { offset: 32768, scale: 1 / 65535 }),
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
    normalization: dtype === 'float32' ? null : normalization,
    weight: tinyWeights(shape, L),
    bias: Array.from({ length: L }, (_, l) => 0.1 * l),
    ...changes,
  }
}
