// The one inference path of volumes: a case's files → stored tensor → windows through the networks → probabilities →
// mask on the files' own grid. Predicting, serving and certifying all come through here; nothing in it touches disk,
// network or clock. Shapes: C channels, K outputs, Z Y X voxels of the stored grid.
import { determinant } from '../imaging/geometry/affine.ts'
import { preprocessVolume, type StoredVolume } from '../imaging/preprocess_volume.ts'
import type { StoredVoxels } from '../imaging/store_volume.ts'
import type { Volume } from '../imaging/volume.ts'
import { UserError } from '../schema/errors.ts'
import type { InputNormalization, VolumeSpec } from '../schema/preprocess.ts'
import type { SegmentPackage } from '../schema/segment_package.ts'
import { labelVolume, toProbabilities } from './label_volume.ts'
import { slidingWindow } from './sliding_window.ts'
import { volumeWarnings } from './volume_warnings.ts'

/** A network, wherever it runs: onnxruntime in Node, or in a browser. */
export interface PatchNetwork {
  /**
   * @param x_BCZYX in the package's input dtype
   * @returns logits_BKZYX
   */
  run(x_BCZYX: StoredVoxels, dims: readonly number[]): Promise<Float32Array>
}

export interface Segmented {
  mask: Volume & { data: Uint8Array }
  stored: StoredVolume
  /** Structure → its volume in ml; empty of a 2D image. */
  volumes_ml: Record<string, number>
  /** Structure → its voxels. */
  voxels: Record<string, number>
  warnings: string[]
}

/**
 * The mask of a volume.
 *
 * @param images bytes of one file, of one a channel, or of the instances of a DICOM series
 * @throws {ImageError} for files that cannot be read; {UserError} when a network gives no numbers
 */
export async function segmentFiles(
  images: readonly Uint8Array[],
  model: SegmentPackage,
  networks: readonly PatchNetwork[],
): Promise<Segmented> {
  const stored = await preprocessVolume(images, model.preprocess)
  const probabilities = await probabilitiesOf(stored, model, networks)
  const mask = maskOf(probabilities, stored, model)
  const voxels = voxelsOf(mask, model)
  const voxel_ml = Math.abs(determinant(mask.affine)) / 1000
  const volumes_ml =
    model.preprocess.distance_unit === 'px'
      ? {}
      : Object.fromEntries(Object.entries(voxels).map(([name, n]) => [name, roundedMl(n * voxel_ml)]))
  return { mask, stored, volumes_ml, voxels, warnings: volumeWarnings(stored, model) }
}

/** Six digits, more than any mask knows: 0.8140000000000001 is 0.814. */
const roundedMl = (ml: number) => Number(ml.toPrecision(6))

/**
 * Probabilities on the stored grid, of several networks their mean.
 *
 * @returns float32 [K, Z, Y, X]; background first where structures exclude each other
 */
export async function probabilitiesOf(
  { data, shape }: Pick<StoredVolume, 'data' | 'shape'>,
  model: Pick<SegmentPackage, 'task' | 'input' | 'networks' | 'overlap' | 'inference'>,
  networks: readonly PatchNetwork[],
): Promise<Float32Array> {
  const { patch_size: patch, dtype } = model.input
  const numOutputs = outputsOf(model)
  let mean: Float32Array | null = null
  for (const [n, network] of networks.entries()) {
    const logits = await slidingWindow(
      {
        volume: data,
        shape,
        patch,
        overlap: model.overlap,
        mirror: model.inference.mirror.map((axis) => 'zyx'.indexOf(axis)),
        empty: emptyValues(model.networks[n]!.normalization, dtype),
        numOutputs,
        batch: 1,
      },
      (windows, batch) => runWindows(network, windows, [batch, shape[0], ...patch], numOutputs),
    )
    const probabilities = toProbabilities(logits, model.task)
    if (mean === null) mean = probabilities
    else for (let i = 0; i < mean.length; i++) mean[i]! += probabilities[i]!
  }
  if (networks.length > 1) for (let i = 0; i < mean!.length; i++) mean![i]! /= networks.length
  return mean!
}

/** Probabilities → the mask that `predict` writes. */
export function maskOf(
  probabilities: Float32Array,
  { shape, affine, source }: Pick<StoredVolume, 'shape' | 'affine' | 'source'>,
  model: Pick<SegmentPackage, 'task' | 'inference'>,
): Volume & { data: Uint8Array } {
  const [, z, y, x] = shape
  const volume = { data: probabilities, channels: outputsOf(model), shape: [z, y, x] as const, affine }
  return labelVolume(volume, source, model.task, model.inference.largest_component)
}

export const outputsOf = ({ task }: Pick<SegmentPackage, 'task'>): number =>
  task.structures.length + (task.exclusive ? 1 : 0)

/**
 * Stored values that become 0 in the network, or come nearest to it: what lies outside of a volume smaller than a window.
 */
export function emptyValues(
  { offset, scale, mean }: InputNormalization,
  dtype: VolumeSpec['dtype'],
): number[] {
  const range = { uint8: [0, 255], int16: [-32768, 32767], float16: null, float32: null }[dtype]
  return mean.map((value) => {
    const stored = value / scale - offset
    return range === null ? stored : Math.min(range[1]!, Math.max(range[0]!, Math.round(stored)))
  })
}

async function runWindows(
  network: PatchNetwork,
  windows: StoredVoxels,
  dims: readonly number[],
  numOutputs: number,
): Promise<Float32Array> {
  const logits = await network.run(windows, dims)
  const [batch, , z, y, x] = dims as readonly [number, number, number, number, number]
  if (logits.length !== batch * numOutputs * z * y * x)
    throw new UserError(
      `The network gave ${logits.length} outputs for ${batch} windows of ${z}×${y}×${x}; model.json says ${numOutputs} a voxel.`,
    )
  for (let i = 0; i < logits.length; i++)
    if (!Number.isFinite(logits[i]!))
      throw new UserError(
        'The network gave NaN or infinity.\n' +
          '  do: check that the package was made from a model that trained to the end; "fiducial package --verify".',
      )
  return logits
}

function voxelsOf({ data }: { data: Uint8Array }, { task }: SegmentPackage): Record<string, number> {
  const counts = new Float64Array(256)
  for (let i = 0; i < data.length; i++) counts[data[i]!]!++
  return Object.fromEntries(
    task.structures.map(({ name, values }) => [name, values.reduce((sum, value) => sum + counts[value]!, 0)]),
  )
}
