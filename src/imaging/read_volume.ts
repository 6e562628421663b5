import { readSeries } from './dicom/read_series.ts'
import { seriesToVolume } from './dicom/series.ts'
import { isDicom } from './dicom/signature.ts'
import type { Grid } from './geometry/grid.ts'
import { axcodes } from './geometry/orientation.ts'
import { cornersApart, isSameGrid } from './geometry/same_grid.ts'
import { ImageError } from './image_error.ts'
import { readNifti, readNiftiHeader } from './nifti/read.ts'
import { isRaster, rasterGrid, rasterVolume, refuseMixedDepths, sampleBits } from './raster_volume.ts'
import type { Volume, Voxels } from './volume.ts'

/** What a case's files hold, and what they are. */
export interface ReadVolume {
  volume: Volume
  /** Format name, e.g. nifti. */
  format: string
  /** For a person: what was done to these files that is not done to all. */
  notes: string[]
}

/**
 * The volume that a case's files hold: one NIfTI file with all its channels, or one a channel on the same grid, of a pair the
 * .hdr and then its .img; or the
 * DICOM instances of one series, in any order; or PNG, JPEG, TIFF or WebP images, of which each is a slice by itself and
 * several are its channels. What a file is, its bytes decide.
 *
 * @throws {ImageError} if a file cannot be read, the files lie on different grids, or instances make no volume
 */
export async function readVolume(files: readonly Uint8Array[]): Promise<ReadVolume> {
  // Of a pair the second file is nothing but voxels, which look like anything.
  const isPaired = files.length > 0 && (await isPairHeader(files[0]!))
  if (!isPaired && files.some(isDicom)) {
    const { volume } = await seriesToVolume(readSeries(files))
    return { volume, format: 'dicom', notes: [] }
  }
  if (!isPaired && files.some(isRaster)) return readRasters(files)
  const volumes: Volume[] = []
  for (let at = 0; at < files.length; at++) {
    const bytes = files[at]!
    volumes.push((await isPairHeader(bytes)) ? await readNifti(bytes, files[++at]) : await readNifti(bytes))
  }
  return { volume: volumes.length === 1 ? volumes[0]! : stacked(volumes), format: 'nifti', notes: [] }
}

/** Whether a file is a NIfTI header whose voxels lie in another; what is no NIfTI is told when it is read. */
async function isPairHeader(bytes: Uint8Array): Promise<boolean> {
  try {
    return (await readNiftiHeader(bytes)).layout === 'pair'
  } catch (error) {
    if (error instanceof ImageError) return false
    throw error
  }
}

async function readRasters(files: readonly Uint8Array[]): Promise<ReadVolume> {
  const other = files.findIndex((bytes) => !isRaster(bytes))
  if (other >= 0)
    throw new ImageError(
      `Of its ${files.length} files, number ${other + 1} is not a PNG, JPEG, TIFF or WebP image as others are.`,
      'give all channels of a case in one kind of file.',
    )
  const read: Awaited<ReturnType<typeof rasterVolume>>[] = []
  for (const bytes of files) read.push(await rasterVolume(bytes))
  const volumes = read.map((one) => one.volume)
  refuseMixedDepths(volumes.map(sampleBits))
  return {
    volume: volumes.length === 1 ? volumes[0]! : stacked(volumes),
    format: read[0]!.format,
    notes: [...new Set(read.flatMap((one) => one.notes))],
  }
}

/** What a header says: where the voxels lie and how many channels they have. */
export interface VolumeHeader extends Grid {
  channels: number
  /** Of raster images, which have no place in a patient. */
  distance_unit?: 'px'
  /** Of a sample of a raster image. */
  bits?: 8 | 16
  /** Of NIfTI: whether the voxels lie in this file, or in the .img beside a .hdr. */
  layout?: 'single' | 'pair'
}

/**
 * Where a volume lies and how many channels it has, from the start of its file.
 *
 * @param start the file, or its first 4096 bytes; of a raster image (`isRaster`) the whole file
 */
export async function readVolumeHeader(start: Uint8Array): Promise<VolumeHeader> {
  return isRaster(start) ? rasterGrid(start) : readNiftiHeader(start)
}

/** Channels of several volumes behind each other. */
function stacked(volumes: readonly Volume[]): Volume {
  const first = volumes[0]!
  for (const [i, one] of volumes.entries()) {
    const { shape, affine } = one
    if (shape.some((size, k) => size !== first.shape[k]))
      throw new ImageError(
        `Channel ${i} has ${shape.join('×')} voxels and channel 0 ${first.shape.join('×')} (z×y×x).`,
        'resample the channels onto one grid first.',
      )
    if (!isSameGrid(one, first))
      throw new ImageError(
        `Channel ${i} has another affine than channel 0: their corners lie up to ${cornersApart(one, first).toFixed(2)} mm apart${axcodes(affine) === axcodes(first.affine) ? '' : `, and are stored ${axcodes(affine)} and ${axcodes(first.affine)}`}.`,
        'register and resample the channels onto one grid first.',
      )
  }
  const channels = volumes.reduce((sum, one) => sum + one.channels, 0)
  const isAlike = volumes.every((one) => one.data.constructor === first.data.constructor)
  const VoxelArray = (isAlike ? first.data.constructor : Float32Array) as new (length: number) => Voxels
  const data = new VoxelArray(volumes.reduce((sum, one) => sum + one.data.length, 0))
  let at = 0
  for (const one of volumes) {
    data.set(one.data, at)
    at += one.data.length
  }
  return { ...first, data, channels }
}
