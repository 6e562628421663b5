import { ImageError } from '../image_error.ts'
import type { Volume, Voxels } from '../volume.ts'

/** How many voxels are NaN or infinite. */
export function countNonFinite(data: Voxels): number {
  if (!(data instanceof Float32Array || data instanceof Float64Array)) return 0
  let count = 0
  // x - x is 0 for every finite x and NaN for the others.
  for (let i = 0; i < data.length; i++) if (data[i]! - data[i]! !== 0) count++
  return count
}

/** @throws {ImageError} if any voxel is NaN or infinite: one would spread to every value that is averaged with it */
export function refuseNonFinite({ data }: Volume): void {
  const count = countNonFinite(data)
  if (count === 0) return
  throw new ImageError(
    `${count} of ${data.length} voxels ${count === 1 ? 'is' : 'are'} NaN or infinite.`,
    'write the file anew with the value of the background in their place (often 0, or -1024 in CT), or leave the case out.',
  )
}
