import { ImageError } from '../image_error.ts'
import type { Triple, Volume, Voxels } from '../volume.ts'
import { movedOrigin } from './affine.ts'

/** A part of a grid: indices start .. start + shape - 1. */
export interface Box {
  start: Triple
  shape: Triple
}

/**
 * The least box that holds every voxel of which some channel is not 0, or is above `threshold` where one is given;
 * null if there is none.
 */
export function foregroundBox(volume: Volume, threshold?: number): Box | null {
  const isForeground =
    threshold === undefined ? (value: number) => value !== 0 : (value: number) => value > threshold
  const { data, channels } = volume
  const [numZ, numY, numX] = volume.shape
  const low = [numZ, numY, numX]
  const high = [-1, -1, -1]
  let row = 0
  for (let c = 0; c < channels; c++)
    for (let z = 0; z < numZ; z++)
      for (let y = 0; y < numY; y++, row += numX) {
        let first = 0
        while (first < numX && !isForeground(data[row + first]!)) first++
        if (first === numX) continue
        let last = numX - 1
        while (!isForeground(data[row + last]!)) last--
        low[0] = Math.min(low[0]!, z)
        low[1] = Math.min(low[1]!, y)
        low[2] = Math.min(low[2]!, first)
        high[0] = Math.max(high[0]!, z)
        high[1] = Math.max(high[1]!, y)
        high[2] = Math.max(high[2]!, last)
      }
  if (high[0]! < 0) return null
  return {
    start: low as unknown as Triple,
    shape: high.map((index, k) => index + 1 - low[k]!) as unknown as Triple,
  }
}

/**
 * The part of a volume within a box; its voxels stay where they are in the patient.
 *
 * @throws {ImageError} if the box reaches outside the volume
 */
export function crop(volume: Volume, { start, shape }: Box): Volume {
  if (!start.every((index, k) => index >= 0 && shape[k]! > 0 && index + shape[k]! <= volume.shape[k]!))
    throw new ImageError(
      `The box of ${shape.join('×')} voxels at ${start.join(', ')} reaches outside the ${volume.shape.join('×')} volume.`,
      'give a box inside it, or pad the volume first.',
    )
  const out = emptied(volume, shape)
  copyBox(volume, start, out, [0, 0, 0], shape)
  return { ...out, affine: movedOrigin(volume.affine, start) }
}

/**
 * Adds voxels of one value before and after each axis; the others stay where they are in the patient.
 *
 * @param value of the new voxels, one for all channels or one a channel
 * @param before voxels [z, y, x] before the first
 * @param after voxels [z, y, x] behind the last
 */
export function pad(
  volume: Volume,
  before: Triple,
  after: Triple,
  value: number | readonly number[] = 0,
): Volume {
  const shape = volume.shape.map((size, k) => before[k]! + size + after[k]!) as unknown as Triple
  const out = emptied(volume, shape)
  const size = shape[0] * shape[1] * shape[2]
  for (let c = 0; c < volume.channels; c++)
    out.data.fill(typeof value === 'number' ? value : value[c]!, c * size, (c + 1) * size)
  copyBox(volume, [0, 0, 0], out, before, volume.shape)
  return { ...out, affine: movedOrigin(volume.affine, [-before[0], -before[1], -before[2]]) }
}

function emptied({ data, channels, affine }: Volume, shape: Triple): Volume {
  const length = channels * shape[0] * shape[1] * shape[2]
  return { data: new (data.constructor as new (length: number) => Voxels)(length), channels, shape, affine }
}

function copyBox(from: Volume, start: Triple, to: Volume, at: Triple, shape: Triple): void {
  for (let c = 0; c < from.channels; c++)
    for (let z = 0; z < shape[0]; z++)
      for (let y = 0; y < shape[1]; y++) {
        const source = index(from.shape, c, start[0] + z, start[1] + y, start[2])
        to.data.set(
          from.data.subarray(source, source + shape[2]),
          index(to.shape, c, at[0] + z, at[1] + y, at[2]),
        )
      }
}

function index([numZ, numY, numX]: Triple, c: number, z: number, y: number, x: number): number {
  return ((c * numZ + z) * numY + y) * numX + x
}
