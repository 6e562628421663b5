import type { Triple } from '../volume.ts'
import { apply, voxelSizes } from './affine.ts'
import type { Grid } from './grid.ts'

/**
 * Share of a voxel that the corners of one grid may lie apart in two files: writers round affines, and 32 bits of a qform
 * leave its rotation uncertain by up to 3e-4. Another grid is off by a voxel, a flip, a scale or a shape.
 */
const MOST_APART_VOXELS = 0.1

/** Whether two grids are the same, voxel for voxel; the rule for all files of a case. */
export function isSameGrid(a: Grid, b: Grid): boolean {
  return cornersApart(a, b) <= MOST_APART_VOXELS * Math.min(...voxelSizes(b.affine))
}

/** mm between the same corners of two grids, where it is most; infinite for other shapes. */
export function cornersApart(a: Grid, b: Grid): number {
  if (a.shape.some((size, axis) => size !== b.shape[axis])) return Number.POSITIVE_INFINITY
  let most = 0
  for (let corner = 0; corner < 8; corner++) {
    const index = a.shape.map((size, axis) => (corner & (1 << axis) ? size - 1 : 0)) as unknown as Triple
    const [p, q] = [apply(a.affine, index), apply(b.affine, index)]
    most = Math.max(most, Math.hypot(...p.map((mm, axis) => mm - q[axis]!)))
  }
  return most
}
