import type { VolumeSpec } from '../schema/preprocess.ts'
import { crop, foregroundBox, pad } from './geometry/crop.ts'
import { type Grid, planGrid } from './geometry/grid.ts'
import { resample } from './geometry/resample.ts'
import { ImageError } from './image_error.ts'
import { refuseNonFinite } from './intensity/non_finite.ts'
import { normalizeChannel } from './intensity/normalize_channel.ts'
import { checkMaskGrid } from './mask_grid.ts'
import { readVolume } from './read_volume.ts'
import { type StoredVoxels, toStored } from './store_volume.ts'
import type { Affine, Triple, Volume } from './volume.ts'

export interface StoredVolume {
  /** [C, Z, Y, X] */
  data: StoredVoxels
  dtype: VolumeSpec['dtype']
  shape: [channels: number, z: number, y: number, x: number]
  affine: Affine
  /** [Z, Y, X], values as in the file; null without one. */
  mask: Uint8Array | null
  /** The grid of the files, on which masks are given back. */
  source: Grid
  /** Format name of the files, e.g. nifti. */
  format: string
  notes: string[]
}

/**
 * What a volume's files become in a shard, and before a network when serving: oriented, resampled, cropped, normalised.
 * The only implementation. Pure, and the same in Node and in a browser.
 *
 * @param images bytes of one file, of one a channel, or of the instances of a DICOM series
 * @param mask bytes of its mask, or null
 * @throws {ImageError} naming what is wrong with the files and what to do
 */
export async function preprocessVolume(
  images: readonly Uint8Array[],
  mask: Uint8Array | null,
  spec: VolumeSpec,
): Promise<StoredVolume> {
  const { volume, format } = await readVolume(images)
  const source: Grid = { shape: volume.shape, affine: volume.affine }
  if (volume.channels !== spec.channels)
    throw new ImageError(
      `The volume has ${volume.channels} channel${volume.channels === 1 ? '' : 's'}; ${spec.channels} ${spec.channels === 1 ? 'is' : 'are'} expected.`,
      'check which modalities the file holds.',
    )
  refuseNonFinite(volume)
  const { volume: labels, note } = mask === null ? NO_MASK : await readMask(mask, source)
  const notes = note === null ? [] : [note]

  const grid = planGrid(source, { orientation: spec.orientation, spacing_mm: spec.spacing_mm })
  let image = resample(volume, grid, { interpolation: spec.resample })
  let drawn = labels === null ? null : resample(labels, grid, { interpolation: 'nearest' })
  if (spec.crop === 'foreground') {
    const box = foregroundBox(image)
    if (box === null)
      throw new ImageError(
        'No voxel is above 0, so there is no foreground to crop to.',
        'check that it is the right file.',
      )
    image = crop(image, box)
    drawn &&= crop(drawn, box)
  }
  if (spec.size !== null) {
    image = fitted(image, spec.size)
    drawn &&= fitted(drawn, spec.size)
  }
  const values = image.data as Float32Array
  const voxels = values.length / spec.channels
  for (let c = 0; c < spec.channels; c++)
    normalizeChannel(values.subarray(c * voxels, (c + 1) * voxels), spec.intensity[c]!)
  return {
    data: toStored(values, spec.dtype),
    dtype: spec.dtype,
    shape: [spec.channels, ...image.shape],
    affine: image.affine,
    mask: drawn === null ? null : (drawn.data as Uint8Array),
    source,
    format,
    notes,
  }
}

const NO_MASK = { volume: null, note: null }

async function readMask(bytes: Uint8Array, image: Grid): Promise<{ volume: Volume; note: string | null }> {
  const { volume } = await readVolume([bytes])
  const note = checkMaskGrid(volume, image)
  return { volume: { ...volume, data: wholeLabels(volume.data) }, note }
}

/** @throws {ImageError} for values that are no labels: fractions, negatives, above 255 */
function wholeLabels(values: Volume['data']): Uint8Array {
  if (values instanceof Uint8Array) return values
  const labels = new Uint8Array(values.length)
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    labels[i] = value
    if (labels[i] !== value)
      throw new ImageError(
        `The mask holds the value ${value}; labels are whole numbers from 0 to 255.`,
        'give the mask as integers: it may have been resampled with interpolation, or be a probability map.',
      )
  }
  return labels
}

/** Cropped and padded about the centre to a size. */
function fitted(volume: Volume, size: Triple): Volume {
  const start = size.map((want, k) =>
    Math.max(0, Math.floor((volume.shape[k]! - want) / 2)),
  ) as unknown as Triple
  const kept = size.map((want, k) => Math.min(want, volume.shape[k]!)) as unknown as Triple
  const before = size.map((want, k) => Math.floor((want - kept[k]!) / 2)) as unknown as Triple
  const after = size.map((want, k) => want - kept[k]! - before[k]!) as unknown as Triple
  return pad(crop(volume, { start, shape: kept }), before, after)
}
