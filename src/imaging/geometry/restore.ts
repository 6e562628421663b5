import { ImageError } from '../image_error.ts'
import { countNonFinite } from '../intensity/non_finite.ts'
import type { Volume, Voxels } from '../volume.ts'
import type { Grid } from './grid.ts'
import { interpolateRow, rowScratch } from './interpolate_row.ts'
import { type SourceView, sourceView } from './resample.ts'
import { scatter } from './scatter.ts'

/** How a voxel's probabilities become a label; `values` has one label value per channel. */
export interface LabelRule {
  /**
   * `argmax`: the most probable channel, the earlier of equals; channel 0 is background.
   * `regions`: every channel of at least 0.5 is painted, in the order of the channels, over 0.
   */
  kind: 'argmax' | 'regions'
  values: readonly number[]
}

/**
 * The inverse of `planGrid` and `resample` for a prediction: probabilities are interpolated linearly at the voxels of
 * the source's own grid, and become labels there. Voxels outside the stored grid (see `Taps.inside`) are background.
 * Probabilities are never held on the source's grid: only one line of it at a time.
 *
 * @param probabilities [K, z, y, x], float32, on the stored grid, with the stored grid's affine
 * @param source the grid of the file that the patient's images are in
 * @returns one channel on the source's grid: uint8, or int16 or int32 where label values need it
 * @throws {ImageError} if the grids are not aligned, a probability is not finite, or the rule has not one whole number
 *   per channel
 */
export function restoreLabels(
  probabilities: Volume & { data: Float32Array },
  source: Grid,
  rule: LabelRule,
): Volume {
  const { data, channels } = probabilities
  if (rule.values.length !== channels || !rule.values.every(Number.isInteger))
    throw new ImageError(
      `${channels} channels of probabilities cannot become the labels ${rule.values.join(', ')}.`,
      'give one whole number per channel.',
    )
  const numBroken = countNonFinite(data)
  if (numBroken > 0)
    throw new ImageError(
      `${numBroken} of the model's probabilities are NaN or infinite: no label can be said of them.`,
      'check the model with "fiducial package --verify", and the values of the images that it was given.',
    )
  const view = sourceView(probabilities, source, 'linear')
  const { shape } = view
  const [z, y, x] = view.taps
  const labels = new (labelType(rule.values))(shape[0] * shape[1] * shape[2])
  const background = rule.kind === 'argmax' ? rule.values[0]! : 0
  labels.fill(background)
  const [sizeZ, sizeY, sizeX] = probabilities.shape
  const scratch = rowScratch(sizeX)
  const lines = new Float32Array(channels * shape[2])
  for (let k = 0; k < shape[0]; k++)
    for (let j = 0; j < shape[1]; j++) {
      if (!z.inside[k] || !y.inside[j]) continue
      for (let c = 0; c < channels; c++)
        interpolateRow(data, c * sizeZ * sizeY * sizeX, sizeY, view.taps, k, j, scratch, lines, c * shape[2])
      const line = labels.subarray((k * shape[1] + j) * shape[2], (k * shape[1] + j + 1) * shape[2])
      if (rule.kind === 'argmax') mostProbable(lines, rule.values, x.inside, line)
      else paintRegions(lines, rule.values, x.inside, line)
    }
  return inSourceOrder(labels, view, source)
}

/**
 * The inverse of `planGrid` and `resample` for whole numbers: each voxel of the source's own grid takes the label of
 * the stored voxel nearest to it; outside the stored grid, as `restoreLabels` has it, 0.
 *
 * @param mask one channel on the stored grid
 * @throws {ImageError} if the grids are not aligned
 */
export function restoreMask(mask: Volume, source: Grid): Volume {
  const view = sourceView(mask, source, 'nearest')
  const { shape } = view
  const [z, y, x] = view.taps
  const labels = new (mask.data.constructor as new (length: number) => Voxels)(shape[0] * shape[1] * shape[2])
  let at = 0
  for (let k = 0; k < shape[0]; k++)
    for (let j = 0; j < shape[1]; j++, at += shape[2]) {
      if (!z.inside[k] || !y.inside[j]) continue
      const start = (z.indices[k]! * mask.shape[1] + y.indices[j]!) * mask.shape[2]
      for (let i = 0; i < shape[2]; i++) if (x.inside[i]) labels[at + i] = mask.data[start + x.indices[i]!]!
    }
  return inSourceOrder(labels, view, source)
}

function inSourceOrder(labels: Voxels, { isInOrder, shape, strides }: SourceView, source: Grid): Volume {
  const grid = { channels: 1, shape: source.shape, affine: source.affine }
  if (isInOrder) return { data: labels, ...grid }
  const data = new (labels.constructor as new (length: number) => Voxels)(labels.length)
  scatter(labels, shape, data, 0, strides)
  return { data, ...grid }
}

/** @param lines [K, x]; the first line is used up */
function mostProbable(lines: Float32Array, values: readonly number[], inside: Uint8Array, out: Voxels): void {
  const size = out.length
  for (let c = 1, at = size; c < values.length; c++) {
    const value = values[c]!
    for (let i = 0; i < size; i++, at++)
      if (lines[at]! > lines[i]!) {
        lines[i] = lines[at]!
        out[i] = value
      }
  }
  for (let i = 0; i < size; i++) if (!inside[i]) out[i] = values[0]!
}

function paintRegions(lines: Float32Array, values: readonly number[], inside: Uint8Array, out: Voxels): void {
  const size = out.length
  for (let c = 0; c < values.length; c++)
    for (let i = 0; i < size; i++) if (inside[i] && lines[c * size + i]! >= 0.5) out[i] = values[c]!
}

function labelType(values: readonly number[]): typeof Uint8Array | typeof Int16Array | typeof Int32Array {
  const [low, high] = [Math.min(0, ...values), Math.max(...values)]
  if (low >= 0 && high <= 255) return Uint8Array
  return low >= -32768 && high <= 32767 ? Int16Array : Int32Array
}
