import { ImageError } from '../image_error.ts'
import type { SeriesSlice } from './series.ts'

/**
 * Positions compare only within one frame of reference. A file that names none is taken at its word elsewhere.
 *
 * @param uid what the file names
 * @param what the file is: segmentation, structure set
 * @throws {ImageError} if it is not that of the series
 */
export function checkFrameOfReference(
  uid: string | null,
  slices: readonly SeriesSlice[],
  what: string,
): void {
  const own = slices[0]!.instance.frameOfReferenceUid
  if (uid === null || own === null || uid === own) return
  throw new ImageError(
    `The ${what} was drawn in another frame of reference than that of the series, so their positions do not compare.`,
    `give the series that the ${what} was drawn on.`,
  )
}
