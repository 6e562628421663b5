import { apply, invert } from '../geometry/affine.ts'
import type { Grid } from '../geometry/grid.ts'
import { ImageError } from '../image_error.ts'
import type { Triple } from '../volume.ts'

/** Where the pixels of a plane lie among the voxels of a grid, in whole steps of its indices [z, y, x]. */
export interface PlaneOnGrid {
  start: Triple
  /** From a pixel to the next in its row. */
  alongRow: Triple
  /** From a row to the next. */
  alongColumn: Triple
  rows: number
  columns: number
  /** Of the grid. */
  shape: Triple
  /** Which of the grid's planes it is: its axis and index. */
  slice: string
}

export interface PlanePlace {
  /** Of the first pixel's centre; DICOM's, LPS mm. */
  position: readonly number[]
  orientation: readonly number[]
  /** Between rows, between columns. */
  spacing: readonly number[]
}

/**
 * The place of a plane of pixels on a grid.
 *
 * @param name of the plane, in errors
 * @throws {ImageError} unless each pixel lies on a voxel, to a quarter of one
 */
export function planeOnGrid(
  { position, orientation, spacing }: PlanePlace,
  { rows, columns }: { rows: number; columns: number },
  { shape, affine }: Grid,
  name: string,
): PlaneOnGrid {
  const toIndex = invert(affine)
  const index = (i: number, j: number): Triple =>
    apply(toIndex, worldOf({ position, orientation, spacing }, i, j))
  const first = index(0, 0)
  const start = whole(first)
  const alongRow = whole(minus(index(0, 1), first))
  const alongColumn = whole(minus(index(1, 0), first))
  const isUnit = [alongRow, alongColumn].every(
    (step) => step.filter((value) => value === 0).length === 2 && step.every((value) => Math.abs(value) <= 1),
  )
  const axes = [alongRow, alongColumn].map((step) => step.findIndex((value) => value !== 0))
  const corners = [
    [0, 0],
    [rows - 1, 0],
    [0, columns - 1],
    [rows - 1, columns - 1],
  ] as const
  const isClose = corners.every(([i, j]) => {
    const found = index(i, j)
    return found.every(
      (value, k) => Math.abs(value - start[k]! - i * alongColumn[k]! - j * alongRow[k]!) <= TOLERANCE,
    )
  })
  if (!isUnit || axes[0] === axes[1] || !isClose)
    throw new ImageError(
      `${name} does not lie on the voxels of the series: its first pixel is at index ` +
        `(${first.map((value) => value.toFixed(2)).join(', ')}) (z, y, x), and its rows and columns step by ` +
        `(${minus(index(1, 0), first)
          .map((value) => value.toFixed(2))
          .join(', ')}) and ` +
        `(${minus(index(0, 1), first)
          .map((value) => value.toFixed(2))
          .join(', ')}) voxels.`,
      'give the series that it was drawn on, or resample it onto that grid first.',
    )
  const axis = 3 - axes[0]! - axes[1]!
  return { start, alongRow, alongColumn, rows, columns, shape, slice: `${axis} ${start[axis]}` }
}

/** Of a voxel: positions in files are rounded, and slices of a series may lie a little off even steps. */
const TOLERANCE = 0.25

/** RAS mm. */
function worldOf({ position, orientation, spacing }: PlanePlace, i: number, j: number): Triple {
  const at = (axis: 0 | 1 | 2) =>
    position[axis]! + i * spacing[0]! * orientation[axis + 3]! + j * spacing[1]! * orientation[axis]!
  return [-at(0), -at(1), at(2)]
}

const whole = ([z, y, x]: Triple): Triple => [Math.round(z), Math.round(y), Math.round(x)]
const minus = (a: Triple, b: Triple): Triple => [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
