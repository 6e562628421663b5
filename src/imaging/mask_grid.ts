import type { Grid } from './geometry/grid.ts'
import { axcodes, orientedGrid, reorient } from './geometry/orientation.ts'
import { cornersApart, isSameGrid } from './geometry/same_grid.ts'
import { ImageError } from './image_error.ts'
import type { Volume } from './volume.ts'

/**
 * Checks that a mask lies on the grid of its image. The two may be stored in different orientations, as some tools
 * write; they must not be shifted, scaled or of another shape.
 *
 * @returns a note where the orientations differ, else null
 * @throws {ImageError} with both shapes, or how far apart the corners are
 */
export function checkMaskGrid(mask: Volume, image: Grid & Pick<Volume, 'distance_unit'>): string | null {
  if (mask.channels !== 1)
    throw new ImageError(
      `The mask has ${mask.channels} channels; one value a voxel is needed.`,
      'write it as a 3D volume of integer labels.',
    )
  if (mask.distance_unit !== image.distance_unit)
    throw new ImageError(
      mask.distance_unit === 'px'
        ? 'The mask is a 2D image and the image a volume with a place in the patient.'
        : 'The mask is a volume with a place in the patient, and the image a 2D image without one.',
      'give the mask as the same kind of file as the image.',
    )
  const codes = axcodes(image.affine)
  const turned = orientedGrid(mask, codes)
  if (turned.shape.some((size, k) => size !== image.shape[k]))
    throw new ImageError(
      mask.distance_unit === 'px'
        ? `The mask has ${mask.shape.slice(1).join('×')} pixels and the image ${image.shape.slice(1).join('×')} (rows × columns).`
        : `The mask has ${mask.shape.join('×')} voxels and the image ${image.shape.join('×')} (z×y×x).`,
      mask.distance_unit === 'px'
        ? 'give the mask that was drawn on this image; an image that EXIF turns needs a mask as it is displayed, upright.'
        : 'give the mask that was drawn on this image, or resample it onto the image.',
    )
  if (!isSameGrid(turned, image))
    throw new ImageError(
      `The mask and the image have the same shape but other affines: their corners lie up to ${cornersApart(turned, image).toFixed(2)} mm apart.`,
      'give the mask that was drawn on this image; if only its header is wrong, copy the header of the image.',
    )
  return axcodes(mask.affine) === codes
    ? null
    : 'The image and its mask are stored in different orientations; both are turned by their affines. Check one by eye.'
}

/**
 * A mask voxel for voxel over its image: one that is stored in another orientation is turned.
 *
 * @throws {ImageError} as `checkMaskGrid`
 */
export function maskOnGrid(mask: Volume, image: Grid & Pick<Volume, 'distance_unit'>): Volume {
  checkMaskGrid(mask, image)
  return reorient(mask, axcodes(image.affine))
}
