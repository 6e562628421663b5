// The one inference path of scores: a case's files → stored tensor (prepareInput) → network (runNetwork) → scores and
// decisions (score). Predicting, serving and certifying all come through here; nothing in it touches disk, network or
// clock. Shapes: B batch, C channels, H rows, W columns of an image, Z Y X voxels of a volume, L labels.
import { ImageError } from '../imaging/image_error.ts'
import { preprocess, type StoredTensor } from '../imaging/preprocess.ts'
import { preprocessVolume, type StoredVolume } from '../imaging/preprocess_volume.ts'
import { FORMATS } from '../imaging/signature.ts'
import type { StoredVoxels } from '../imaging/store_volume.ts'
import { UserError } from '../schema/errors.ts'
import type { ModelPackage } from '../schema/model_package.ts'
import { inputWarnings } from './warnings.ts'

/** Formats of the files that `prepareInput` reads for a model of images, and for one of volumes. */
export const INPUT_FORMATS: readonly string[] = FORMATS
export const VOLUME_FORMATS: readonly string[] = ['.nii', '.nii.gz', '.zip of these or of a DICOM series']

/** What a network reads: stored values, or normalised ones for graphs of images with a float32 input. */
export type InputArray = StoredVoxels

/** A network, wherever it runs: onnxruntime in Node, or in a browser. */
export interface Network {
  /**
   * @param x in the package's input dtype
   * @param dims [B, C, H, W], or [B, C, Z, Y, X] of volumes
   * @returns outputs_BL as the graph gives them
   */
  run(x: InputArray, dims: readonly [B: number, ...number[]]): Promise<Float32Array>
}

/** What a package stores of a case, as its training did. */
export type StoredInput = StoredTensor | StoredVolume

export interface PreparedInput {
  stored: StoredInput
  /** [C, H, W] or [C, Z, Y, X] */
  x: InputArray
  warnings: string[]
}

export interface Scored {
  logits: Record<string, number>
  scores: Record<string, number>
  decisions: Record<string, boolean>
}

/**
 * The files of a case → what the network reads.
 *
 * @param files bytes of an image; of a volume those of one file, of one a channel, or of the instances of a DICOM series
 * @throws {UserError} when they are not an image or a volume that the package reads
 */
export async function prepareInput(
  files: readonly Uint8Array[],
  model: ModelPackage,
): Promise<PreparedInput> {
  const stored = await storedInput(files, model)
  const warnings = [...stored.notes, ...inputWarnings(stored, model)]
  return { stored, x: networkInput(stored, model), warnings }
}

async function storedInput(
  files: readonly Uint8Array[],
  { preprocess: spec }: ModelPackage,
): Promise<StoredInput> {
  if (spec.kind === 'volume') return preprocessVolume(files, spec)
  if (files.length !== 1)
    throw new ImageError(
      `The case has ${files.length} files; the model scores single images.`,
      'send one image a case.',
    )
  return preprocess(files[0]!, spec)
}

/** Stored values as they are, or normalised in float64 and rounded once to float32 for graphs that ask for it. */
export function networkInput({ data }: Pick<StoredInput, 'data'>, model: ModelPackage): InputArray {
  const { dtype, normalization } = model.input
  if (dtype === model.preprocess.dtype) return data
  if (!normalization) throw new Error('model.json: input.normalization is null for a float32 input')
  const x = new Float32Array(data.length)
  const size = data.length / model.preprocess.channels
  for (let c = 0; c < model.preprocess.channels; c++) {
    const mean = normalization.mean[c]!
    const std = normalization.std[c]!
    for (let i = c * size; i < (c + 1) * size; i++)
      x[i] = ((data[i]! + normalization.offset) * normalization.scale - mean) / std
  }
  return x
}

/**
 * One run of the network over equally shaped inputs.
 *
 * @returns outputs [B][L], in the inputs' order
 * @throws {UserError} when an output is NaN or infinite, or the graph gives another number of outputs than labels
 */
export async function runNetwork(
  inputs: readonly InputArray[],
  model: ModelPackage,
  network: Network,
): Promise<number[][]> {
  const B = inputs.length
  const L = model.task.labels.length
  const outputs_BL = await network.run(stack(inputs), [B, ...model.input.shape])
  if (outputs_BL.length !== B * L)
    throw new UserError(
      `The network gave ${outputs_BL.length} outputs for a batch of ${B}; model.json names ${L} labels.\n` +
        '  do: name as many labels, in the order of the outputs, as the network has outputs.',
    )
  if (!outputs_BL.every(Number.isFinite))
    throw new UserError(
      'The network gave NaN or infinity.\n' +
        '  do: check that the package was made from a model that trained to the end; "fiducial package --verify".',
    )
  return inputs.map((_, b) => Array.from(outputs_BL.subarray(b * L, (b + 1) * L)))
}

/** Outputs of one case → scores by the package's activation, in float64 → decisions at its operating points. */
export function score(outputs: readonly number[], model: ModelPackage): Scored {
  const scores = activate(outputs, model.output.activation)
  const { labels } = model.task
  return {
    logits: named(labels, outputs),
    scores: named(labels, scores),
    decisions: decide(scores, model),
  }
}

/**
 * @throws {UserError} when `none` is said and the outputs are no probabilities
 */
export function activate(
  outputs: readonly number[],
  activation: ModelPackage['output']['activation'],
): number[] {
  if (activation === 'sigmoid') return outputs.map((x) => 1 / (1 + Math.exp(-x)))
  if (activation === 'softmax') {
    const top = Math.max(...outputs)
    const powers = outputs.map((x) => Math.exp(x - top))
    const sum = powers.reduce((a, b) => a + b, 0)
    return powers.map((p) => p / sum)
  }
  const wrong = outputs.find((x) => x < 0 || x > 1)
  if (wrong !== undefined)
    throw new UserError(
      `The network gave ${wrong}, which is no probability, and the package names no activation.\n` +
        '  do: say "activation: sigmoid" (one or several findings) or "activation: softmax" (classes).',
    )
  return [...outputs]
}

/**
 * Label → present. With an operating point: score >= threshold. Classes that exclude each other without operating
 * points: the highest score, the first of equals. A label without an operating point gets no decision.
 */
export function decide(scores: readonly number[], model: ModelPackage): Record<string, boolean> {
  const { labels, exclusive } = model.task
  const points = model.operating_points
  if (exclusive && Object.keys(points).length === 0) {
    const top = scores.indexOf(Math.max(...scores))
    return named(
      labels,
      scores.map((_, i) => i === top),
    )
  }
  const decided = labels.flatMap((label, i) => {
    const point = Object.hasOwn(points, label) ? points[label] : undefined
    return point ? [[label, scores[i]! >= point.threshold] as const] : []
  })
  return Object.fromEntries(decided)
}

/** Label → threshold that `decide` applies. */
export function thresholds(model: ModelPackage): Record<string, number> {
  return Object.fromEntries(
    Object.entries(model.operating_points).map(([label, point]) => [label, point.threshold]),
  )
}

function stack(inputs: readonly InputArray[]): InputArray {
  const first = inputs[0]!
  if (inputs.length === 1) return first
  const all = new (first.constructor as new (n: number) => InputArray)(first.length * inputs.length)
  for (const [b, x] of inputs.entries()) all.set(x, b * first.length)
  return all
}

function named<T>(labels: readonly string[], values: readonly T[]): Record<string, T> {
  return Object.fromEntries(labels.map((label, i) => [label, values[i]!]))
}
