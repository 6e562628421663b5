import type { MaskPair } from '../evaluate/measure_masks.ts'
import { voxelSizes } from '../imaging/geometry/affine.ts'
import { cornersApart, isSameGrid } from '../imaging/geometry/same_grid.ts'
import { ImageError } from '../imaging/image_error.ts'
import { readNifti } from '../imaging/nifti/read.ts'
import { isRaster, rasterMask } from '../imaging/raster_volume.ts'
import type { Affine, Volume } from '../imaging/volume.ts'
import { readBytes } from '../storage/local.ts'

/** Volumes of one case on one grid. */
export interface MaskVolumes {
  prediction: Volume
  reference: Volume
}

/** Cosine of axes that still count as at right angles. */
const MOST_SHEAR = 1e-3

/**
 * A predicted and a reference mask, which must lie on the same grid.
 *
 * @throws {ImageError} for a file that is no mask in NIfTI, PNG or TIFF, or grids that differ, with the numbers
 */
export async function readMaskVolumes(files: {
  prediction: string
  reference: string
}): Promise<MaskVolumes> {
  const [prediction, reference] = [await readMask(files.prediction), await readMask(files.reference)]
  requireSameGrid(prediction, reference)
  return { prediction, reference }
}

/**
 * What `measureMasks` takes of two masks on one grid.
 *
 * @throws {ImageError} where the grid's axes are not at right angles, so that it has no spacing
 */
export function maskPairOf({ prediction, reference }: MaskVolumes): MaskPair {
  const { affine } = reference
  const spacing_mm = voxelSizes(affine)
  for (const [a, b] of [
    [0, 1],
    [0, 2],
    [1, 2],
  ] as const) {
    const dot = [0, 4, 8].reduce((sum, row) => sum + affine[row + a]! * affine[row + b]!, 0)
    if (Math.abs(dot) > MOST_SHEAR * spacing_mm[a]! * spacing_mm[b]!)
      throw new ImageError(
        'The axes of its grid are not at right angles, so distances between voxels are not what the spacing says.',
        'resample prediction and reference onto a grid with right angles.',
      )
  }
  return { prediction: prediction.data, reference: reference.data, shape: reference.shape, spacing_mm }
}

async function readMask(path: string): Promise<Volume> {
  const bytes = await readBytes(path)
  const volume = isRaster(bytes) ? await rasterMask(bytes) : await readNifti(bytes)
  if (volume.channels === 1) return volume
  throw new ImageError(
    `The mask has ${volume.channels} channels.`,
    'write one mask a case, each voxel with the number of its label.',
  )
}

/** @throws {ImageError} for two masks that do not lie on the same grid, with the numbers */
function requireSameGrid(prediction: Volume, reference: Volume): void {
  if (prediction.distance_unit !== reference.distance_unit)
    throw new ImageError(
      `The prediction is ${prediction.distance_unit === 'px' ? 'a 2D image and the reference a volume' : 'a volume and the reference a 2D image'}.`,
      'give both as the same kind of file.',
    )
  if (isSameGrid(prediction, reference)) return
  const same = 'predict on the grid of the reference, or resample one of them onto the grid of the other.'
  const [p, r] = [prediction.shape, reference.shape]
  const apart = cornersApart(prediction, reference)
  if (!Number.isFinite(apart))
    throw new ImageError(
      `The prediction has ${p.join(' × ')} voxels, the reference ${r.join(' × ')} (z, y, x).`,
      same,
    )
  throw new ImageError(
    `Prediction and reference lie up to ${apart.toPrecision(3)} mm apart in the patient: their affines differ.\n` +
      `  prediction: ${describe(prediction.affine)}\n  reference:  ${describe(reference.affine)}`,
    same,
  )
}

/** The rows of an affine, without the last. */
const describe = (affine: Affine): string =>
  [0, 4, 8]
    .map(
      (row) =>
        `[${affine
          .slice(row, row + 4)
          .map((value) => Number(value.toPrecision(6)))
          .join(', ')}]`,
    )
    .join(' ')
