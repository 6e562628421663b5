import type { VolumeSpec } from '../schema/preprocess.ts'
import { isDicom } from './dicom/signature.ts'
import { movedOrigin, voxelSizes } from './geometry/affine.ts'
import { crop, foregroundBox, pad } from './geometry/crop.ts'
import { type Grid, planGrid } from './geometry/grid.ts'
import { resample } from './geometry/resample.ts'
import { ImageError } from './image_error.ts'
import { refuseNonFinite } from './intensity/non_finite.ts'
import { normalizeChannel } from './intensity/normalize_channel.ts'
import { checkMaskGrid } from './mask_grid.ts'
import { readNiftiHeader } from './nifti/read.ts'
import { isRaster, sampleBits } from './raster_volume.ts'
import { type DrawnOn, readMask } from './read_mask.ts'
import { readVolume } from './read_volume.ts'
import { sniffFormat } from './signature.ts'
import { STORED_ARRAYS, type StoredVoxels, toStored } from './store_volume.ts'
import type { Affine, Triple, Volume } from './volume.ts'

export interface StoredVolume {
  /** [C, Z, Y, X] */
  data: StoredVoxels
  dtype: VolumeSpec['dtype']
  shape: [channels: number, z: number, y: number, x: number]
  affine: Affine
  /** The grid of the files, on which masks are given back. */
  source: Grid & Pick<Volume, 'distance_unit'>
  /** Format name of the files, e.g. nifti. */
  format: string
  notes: string[]
  /** Labels on the source's grid → on the stored grid, each voxel the nearest. */
  onStoredGrid(labels: Volume): Volume
}

/**
 * What a volume's files become in a shard, and before a network when serving: oriented, resampled, cropped, normalised.
 * The only implementation. Pure, and the same in Node and in a browser.
 *
 * @param images bytes of one file, of one a channel, or of the instances of a DICOM series
 * @throws {ImageError} naming what is wrong with the files and what to do
 */
export async function preprocessVolume(
  images: readonly Uint8Array[],
  spec: VolumeSpec,
): Promise<StoredVolume> {
  await refuseNoImage(images, spec)
  const { volume, format, notes: read } = await readVolume(images)
  refuseOtherKind(volume, spec, format)
  refuseOtherDepth(volume, spec)
  if (volume.channels !== spec.channels)
    throw new ImageError(
      `The ${spec.distance_unit === 'px' ? 'image' : 'volume'} has ${volume.channels} channel${volume.channels === 1 ? '' : 's'}; ${spec.channels} ${spec.channels === 1 ? 'is' : 'are'} expected.`,
      spec.distance_unit === 'px'
        ? 'convert it as the others are: one channel is grey, three are RGB.'
        : 'check which modalities the file holds.',
    )
  refuseNonFinite(volume)
  const notes = [...read, ...clippedNotes(volume, spec)]
  const source: StoredVolume['source'] = { shape: volume.shape, affine: volume.affine, ...unitOf(spec) }
  const grid = planGrid(source, { orientation: spec.orientation, spacing_mm: spec.spacing_mm })
  refuseHugeGrid(volume, grid)
  const { data, shape, affine, place } = storedImage(volume, grid, spec)
  return {
    data,
    dtype: spec.dtype,
    shape: [spec.channels, ...shape],
    affine,
    source,
    format,
    notes,
    onStoredGrid: (labels) => place(resample(labels, grid, { interpolation: 'nearest' })),
  }
}

/**
 * A mask on the stored grid of its volume.
 *
 * @param drawnOn of a DICOM mask, the series that it was drawn on
 * @returns values as in the file, [Z, Y, X], and what there is to say about it
 * @throws {ImageError} if it cannot be read, holds no whole numbers, or does not lie on the grid of the image
 */
export async function preprocessMask(
  bytes: Uint8Array,
  { source, onStoredGrid }: Pick<StoredVolume, 'source' | 'onStoredGrid'>,
  drawnOn: DrawnOn | null = null,
): Promise<{ mask: Uint8Array; notes: string[] }> {
  const { volume, notes } = await readMask(bytes, drawnOn)
  const note = checkMaskGrid(volume, source)
  const mask = onStoredGrid({ ...volume, data: wholeLabels(volume.data) }).data as Uint8Array
  return { mask, notes: note === null ? notes : [...notes, note] }
}

/** `distance_unit` where it is not mm, to be spread into what is measured in it. */
export const unitOf = ({ distance_unit }: { distance_unit?: 'px' }): { distance_unit?: 'px' } =>
  distance_unit === undefined ? {} : { distance_unit }

/** Values of a resampled volume: 4 times a CT of 512 × 512 × 500; in float32 and copies of it 10 GB or so. */
const MOST_VALUES = 2 ** 29
/** A file that is that large by itself is taken as it is; one that resampling makes so many times larger is not. */
const MOST_GROWTH = 8

/** Whether resampling makes so much more of a volume that it is refused. */
export function isHuge(source: Grid, target: Grid, channels: number): boolean {
  const [found, made] = [source, target].map(({ shape }) => channels * shape[0] * shape[1] * shape[2])
  return made! > MOST_VALUES && made! > MOST_GROWTH * found!
}

/** @throws {ImageError} for a volume that resampling would make huge: its header mostly states the spacing wrongly */
function refuseHugeGrid(volume: Volume, grid: Grid): void {
  if (!isHuge(volume, grid, volume.channels)) return
  const made = grid.shape.reduce((product, side) => product * side, volume.channels)
  const sizes = ({ shape, affine }: Grid) =>
    `${shape.join('×')} voxels of ${voxelSizes(affine)
      .map((mm) => Number(mm.toPrecision(3)))
      .join('×')} mm`
  throw new ImageError(
    `Resampling would make ${sizes(grid)} of ${sizes(volume)} (z×y×x): ${((made * 12) / 1e9).toPrecision(2)} GB of memory.`,
    'check the spacing that the header states, or give a coarser prepare.spacing_mm.',
  )
}

/** @throws {ImageError} where 2D images are wanted, for a file that is neither one nor a volume, saying what it is */
export async function refuseNoImage(
  images: readonly Uint8Array[],
  { distance_unit }: Pick<VolumeSpec, 'distance_unit'>,
): Promise<void> {
  if (distance_unit !== 'px') return
  for (const bytes of images.filter((one) => !isRaster(one))) {
    if (isDicom(bytes))
      throw new ImageError(
        'The file is DICOM; 2D images are segmented as PNG, JPEG, TIFF or WebP.',
        'export it as PNG, windowed as those images were that the model learnt from.',
      )
    const isNifti = await readNiftiHeader(bytes).then(
      () => true,
      () => false,
    )
    if (!isNifti) sniffFormat(bytes)
  }
}

/** @throws {ImageError} for a volume where 2D images are wanted, or the other way round */
function refuseOtherKind(volume: Volume, spec: VolumeSpec, format: string): void {
  if (volume.distance_unit === spec.distance_unit) return
  throw spec.distance_unit === 'px'
    ? new ImageError(
        `The file is a volume (${format}); 2D images are expected here: PNG, JPEG, TIFF or WebP.`,
        'export the slice that is meant as PNG, if it is to be seen as those images were.',
      )
    : new ImageError(
        `The file is a 2D image (${format}); volumes are expected here: NIfTI, or a DICOM series.`,
        'give the volume; an image knows neither its place in the patient nor its scale.',
      )
}

/** @throws {ImageError} for 16-bit images where 8 bits were trained, or the reverse: every value would mean another grey */
function refuseOtherDepth(volume: Volume, { bits }: VolumeSpec): void {
  const found = sampleBits(volume)
  if (bits === undefined || found === bits) return
  throw new ImageError(
    `The image has ${found} bits a sample; ${bits} are expected, as all images of the training data had.`,
    'export it from its source as those images were; to change the depth of this file alone may leave other greys.',
  )
}

/** 16-bit scanners fill a part of their range, and a case outside of the sample may go beyond what the window was made for. */
function clippedNotes({ data, channels }: Volume, { bits, intensity }: VolumeSpec): string[] {
  if (bits !== 16) return []
  const pixels = data.length / channels
  const tops = intensity.flatMap((one, c) =>
    one.kind === 'window' && data.subarray(c * pixels, (c + 1) * pixels).some((value) => value > one.high)
      ? [one.high]
      : [],
  )
  // The same words for every image: preparation counts notes by their text.
  return [...new Set(tops)].map(
    (top) =>
      `The image has values above ${top}, where its window (prepare.intensity) ends; they are clipped.`,
  )
}

interface StoredImage extends Grid {
  data: StoredVoxels
  /** Crops and pads a volume on the resampled grid as the image was. */
  place(volume: Volume): Volume
}

function storedImage(volume: Volume, grid: Grid, spec: VolumeSpec): StoredImage {
  const isPointwise = spec.intensity.every(({ kind }) => kind === 'window' || kind === 'none')
  if (isPointwise && spec.crop === 'none' && spec.size === null)
    return { data: storedBySlabs(volume, grid, spec), ...grid, place: (other) => other }
  const whole = resample(volume, grid, { interpolation: spec.resample })
  const box = spec.crop === 'foreground' ? foregroundBox(whole) : null
  if (spec.crop === 'foreground' && box === null)
    throw new ImageError(
      'No voxel is above 0, so there is no foreground to crop to.',
      'check that it is the right file.',
    )
  const { size } = spec
  const cut = (other: Volume): Volume => {
    const cropped = box === null ? other : crop(other, box)
    return size === null ? cropped : cutTo(cropped, size)
  }
  const kept = cut(whole)
  const values = kept.data as Float32Array
  const voxels = values.length / spec.channels
  const outside: number[] = []
  for (const [c, intensity] of spec.intensity.entries()) {
    const channel = values.subarray(c * voxels, (c + 1) * voxels)
    normalizeChannel(channel, intensity)
    // What lies around a volume looks like the darkest of it, as air does, and as the margin that was blanked.
    outside.push(intensity.kind === 'nonzero_zscore' ? 0 : smallest(channel))
  }
  const image = size === null ? kept : padTo(kept, size, outside)
  return {
    data: toStored(image.data as Float32Array, spec.dtype),
    shape: image.shape,
    affine: image.affine,
    place: (other) => (size === null ? cut(other) : padTo(cut(other), size)),
  }
}

/** Slices of the stored grid made at once. */
const SLAB_SLICES = 32

/**
 * What depends on no other voxel is stored a slab at a time: a CT of 512 × 512 × 1,000 is never held in float32, which
 * would be a gigabyte.
 */
function storedBySlabs(volume: Volume, { shape, affine }: Grid, spec: VolumeSpec): StoredVoxels {
  const [Z, Y, X] = shape
  const out = new STORED_ARRAYS[spec.dtype](spec.channels * Z * Y * X)
  for (let z = 0; z < Z; z += SLAB_SLICES) {
    const slab: Grid = {
      shape: [Math.min(SLAB_SLICES, Z - z), Y, X],
      affine: movedOrigin(affine, [z, 0, 0]),
    }
    const values = resample(volume, slab, { interpolation: spec.resample }).data as Float32Array
    const voxels = values.length / spec.channels
    for (let c = 0; c < spec.channels; c++) {
      const part = values.subarray(c * voxels, (c + 1) * voxels)
      normalizeChannel(part, spec.intensity[c]!)
      out.set(toStored(part, spec.dtype), (c * Z + z) * Y * X)
    }
  }
  return out
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

/** Cropped about the centre to a size, where it is larger. */
function cutTo(volume: Volume, size: Triple): Volume {
  const start = size.map((want, k) => Math.max(0, Math.floor((volume.shape[k]! - want) / 2)))
  const shape = size.map((want, k) => Math.min(want, volume.shape[k]!))
  return crop(volume, { start: start as unknown as Triple, shape: shape as unknown as Triple })
}

/** Padded about the centre to a size, where it is smaller. */
function padTo(volume: Volume, size: Triple, value: number | readonly number[] = 0): Volume {
  const before = size.map((want, k) => Math.floor((want - volume.shape[k]!) / 2)) as unknown as Triple
  const after = size.map((want, k) => want - volume.shape[k]! - before[k]!) as unknown as Triple
  return pad(volume, before, after, value)
}

function smallest(values: Float32Array): number {
  let least = Number.POSITIVE_INFINITY
  for (let i = 0; i < values.length; i++) if (values[i]! < least) least = values[i]!
  return least
}
