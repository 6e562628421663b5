import { isDicom } from '../imaging/dicom/signature.ts'
import { planGrid } from '../imaging/geometry/grid.ts'
import { ImageError } from '../imaging/image_error.ts'
import { refuseNoImage } from '../imaging/preprocess_volume.ts'
import { readVolumeHeader } from '../imaging/read_volume.ts'
import type { VolumeSpec } from '../schema/preprocess.ts'
import type { SegmentPackage } from '../schema/segment_package.ts'
import { outputsOf } from './segment.ts'

/** Of a voxel of the files: decoded, as a float, its labels and the pieces they form. */
const SOURCE_BYTES = 12
/** Of a voxel of the stored grid: as a float, stored, its sum of weights. */
const STORED_BYTES = 12

/**
 * About how many bytes it takes to segment a case at most, from what its files say of themselves: a file of a megabyte
 * can inflate to a gigabyte, and resampling can make a thousand voxels of one.
 *
 * @throws {ImageError} when the first file is no volume, or its grid cannot be made
 */
export async function segmentingBytes(
  files: readonly Uint8Array[],
  model: Pick<SegmentPackage, 'preprocess' | 'task' | 'networks'>,
): Promise<number> {
  return volumeBytes(files, model.preprocess, 4 * outputsOf(model) * (model.networks.length > 1 ? 2 : 1))
}

/**
 * The same of preprocessing alone, and of what is made of it.
 *
 * @param outputBytes a voxel of the stored grid
 */
async function volumeBytes(
  files: readonly Uint8Array[],
  preprocess: VolumeSpec,
  outputBytes: number,
): Promise<number> {
  const bytes = files.reduce((sum, one) => sum + one.byteLength, 0)
  const perStored = STORED_BYTES * preprocess.channels + outputBytes
  await refuseNoImage(files, preprocess)
  // Each instance of a series holds a slice: their pixels are at most a few times their bytes.
  if (isDicom(files[0]!)) return bytes + 2 * bytes * (SOURCE_BYTES + perStored)
  const header = await readVolumeHeader(files[0]!)
  const grid = planGrid(header, preprocess)
  const source = voxels(header.shape) * header.channels * files.length
  const stored = voxels(preprocess.size ?? grid.shape)
  return bytes + source * SOURCE_BYTES + Math.max(stored, voxels(grid.shape)) * perStored
}

/** @throws {ImageError} saying what it takes and what there is */
export async function refuseBeyondMemory(
  files: readonly Uint8Array[],
  model: Pick<SegmentPackage, 'preprocess' | 'task' | 'networks'>,
  mostBytes: number,
): Promise<void> {
  refuseMore(await segmentingBytes(files, model), mostBytes, 'segment')
}

/** The same of a volume that is scored. */
export async function refuseScoringBeyondMemory(
  files: readonly Uint8Array[],
  preprocess: VolumeSpec,
  mostBytes: number,
): Promise<void> {
  refuseMore(await volumeBytes(files, preprocess, 0), mostBytes, 'score')
}

function refuseMore(needed: number, mostBytes: number, verb: string): void {
  if (needed <= mostBytes) return
  throw new ImageError(
    `The volume takes about ${gigabytes(needed)} to ${verb}; ${gigabytes(mostBytes)} are given to one.`,
    'check the size and spacing that its header states, or crop it.',
  )
}

const voxels = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1)
const gigabytes = (bytes: number) => `${Number((bytes / 1e9).toPrecision(2))} GB`
