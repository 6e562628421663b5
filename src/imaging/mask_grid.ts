import { apply, voxelSizes } from './geometry/affine.ts'
import type { Grid } from './geometry/grid.ts'
import { axcodes, orientedGrid } from './geometry/orientation.ts'
import { ImageError } from './image_error.ts'
import type { Triple, Volume } from './volume.ts'

/** Largest distance, in voxels, between what must be the same corner: writers round affines to float32. */
const TOLERANCE_VOXELS = 0.1

/**
 * Checks that a mask lies on the grid of its image. The two may be stored in different orientations, as some tools
 * write; they must not be shifted, scaled or of another shape.
 *
 * @returns a note where the orientations differ, else null
 * @throws {ImageError} with both shapes, or how far apart the corners are
 */
export function checkMaskGrid(mask: Volume, image: Grid): string | null {
  if (mask.channels !== 1)
    throw new ImageError(
      `The mask has ${mask.channels} channels; one value a voxel is needed.`,
      'write it as a 3D volume of integer labels.',
    )
  const codes = axcodes(image.affine)
  const turned = orientedGrid(mask, codes)
  if (turned.shape.some((size, k) => size !== image.shape[k]))
    throw new ImageError(
      `The mask has ${mask.shape.join('×')} voxels and the image ${image.shape.join('×')} (z×y×x).`,
      'give the mask that was drawn on this image, or resample it onto the image.',
    )
  const apart = Math.max(...corners(image.shape).map((corner) => distance(turned, image, corner)))
  const limit = TOLERANCE_VOXELS * Math.min(...voxelSizes(image.affine))
  if (apart > limit)
    throw new ImageError(
      `The mask and the image have the same shape but other affines: their corners lie up to ${apart.toFixed(2)} mm apart.`,
      'give the mask that was drawn on this image; if only its header is wrong, copy the header of the image.',
    )
  return axcodes(mask.affine) === codes
    ? null
    : 'The image and its mask are stored in different orientations; both are turned by their affines. Check one by eye.'
}

function corners(shape: Triple): Triple[] {
  const ends = [0, 1]
  return ends.flatMap((z) =>
    ends.flatMap((y) =>
      ends.map((x): Triple => [z * (shape[0] - 1), y * (shape[1] - 1), x * (shape[2] - 1)]),
    ),
  )
}

function distance(a: Grid, b: Grid, index: Triple): number {
  const [p, q] = [apply(a.affine, index), apply(b.affine, index)]
  return Math.hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2])
}
