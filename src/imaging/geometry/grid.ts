import { ImageError } from '../image_error.ts'
import type { Affine, Triple } from '../volume.ts'
import { checkAffine, invert, multiply, reversedAxes, voxelSizes } from './affine.ts'
import { orientedGrid } from './orientation.ts'
import { roundHalfEven } from './taps.ts'

/** Where voxels lie, without the voxels. A `Volume` is one too. */
export interface Grid {
  /** [z, y, x] */
  shape: Triple
  affine: Affine
}

/** Which grid a volume is brought to. */
export interface GridRequest {
  /** Directions of x, y, z, e.g. `RAS`; null keeps the stored order. */
  orientation: string | null
  /** [z, y, x] after the orientation; null keeps the stored spacing. */
  spacing_mm: Triple | null
}

/** How one axis of a target grid lies in a source: source index = start + step · target index. */
export interface AxisMap {
  /** 0, 1 or 2: the source's z, y or x. */
  axis: 0 | 1 | 2
  start: number
  step: number
}

/**
 * The grid that MONAI's Orientationd and Spacingd make of a source: the same shape and, but for shear, affine. Spacing
 * already within 1e-3 mm is kept, and the first voxel stays where it is. Where MONAI removes shear, it is kept here,
 * so that source and target stay aligned axis by axis.
 *
 * @throws {ImageError} for an affine that places no voxel, an unknown orientation, or spacing that is not above 0
 */
export function planGrid(source: Grid, { orientation, spacing_mm }: GridRequest): Grid {
  checkAffine(source.affine)
  const oriented = orientation === null ? source : orientedGrid(source, orientation)
  return spacing_mm === null
    ? { shape: oriented.shape, affine: oriented.affine }
    : respacedGrid(oriented, spacing_mm)
}

/**
 * The target's z, y and x axes in the source.
 *
 * @throws {ImageError} unless each target axis follows one source axis, to a hundredth of a voxel over the whole grid
 */
export function axisMaps(source: Grid, target: Grid): readonly [AxisMap, AxisMap, AxisMap] {
  const toSource = multiply(invert(source.affine), target.affine)
  const maps = ([0, 1, 2] as const).map((column): AxisMap => {
    const steps = [0, 1, 2].map((row) => toSource[row * 4 + column]!)
    const axis = argmaxAbs(steps)
    const reach = Math.max(1, target.shape[column] - 1)
    const drift = Math.max(...steps.map((step, row) => (row === axis ? 0 : Math.abs(step) * reach)))
    if (drift > 0.01)
      throw new ImageError(
        `The two grids are not aligned: along axis ${'zyx'[column]} they part by ${drift.toPrecision(3)} voxels.`,
        'resample one of the two onto the grid of the other first.',
      )
    return { axis, start: snapped(toSource[axis * 4 + 3]!), step: snapped(steps[axis]!) }
  })
  if (new Set(maps.map(({ axis }) => axis)).size !== 3)
    throw new ImageError(
      'The two grids are not aligned: two axes of the one follow the same axis of the other.',
      'resample one of the two onto the grid of the other first.',
    )
  return maps as [AxisMap, AxisMap, AxisMap]
}

/** MONAI 1.6, Spacing: `zoom_affine` and `compute_shape_offset` of monai/data/utils.py. */
function respacedGrid(source: Grid, spacing_mm: Triple): Grid {
  if (!spacing_mm.every((size) => Number.isFinite(size) && size > 0))
    throw new ImageError(
      `The spacing ${spacing_mm.join(' × ')} mm cannot be made.`,
      'give three numbers above 0 as prepare.spacing_mm.',
    )
  const old = voxelSizes(source.affine)
  const size = spacing_mm.map((wanted, k) => (Math.abs(wanted - old[k]!) <= 1e-3 ? old[k]! : wanted))
  const affine = source.affine.map((value, k) =>
    k % 4 < 3 && k < 12 ? (value / old[k % 4]!) * size[k % 4]! : value,
  )
  const extents = shearedExtents(source, size)
  const shape = extents.map(({ extent }) => Math.max(1, roundHalfEven(extent + 1, 1e-10))) as [
    number,
    number,
    number,
  ]
  const isFirstKept = extents.every(({ least }) => least >= -1e-8)
  const target = { shape, affine: isFirstKept ? affine : sameMiddle(source, shape, affine) }
  return needsNoResampling(source, target) ? source : target
}

/** The affine moved so that the middles of two grids coincide. */
function sameMiddle(source: Grid, shape: Triple, affine: Affine): Affine {
  const middle = [0, 1, 2].map((row) =>
    [0, 1, 2].reduce(
      (sum, k) =>
        sum + (source.affine[row * 4 + k]! * source.shape[k]! - affine[row * 4 + k]! * shape[k]!) / 2,
      source.affine[row * 4 + 3]!,
    ),
  )
  return affine.map((value, k) => (k % 4 === 3 && k < 12 ? middle[(k - 3) / 4]! : value))
}

/** As MONAI's `spatial_resample` decides that there is nothing to do: equal shapes, indices equal to 1e-3. */
function needsNoResampling(source: Grid, target: Grid): boolean {
  const between = multiply(invert(source.affine), target.affine)
  return (
    target.shape.every((n, k) => n === source.shape[k]) &&
    between.every((value, k) => Math.abs(value - (k % 5 === 0 ? 1 : 0)) <= 1e-3)
  )
}

/**
 * How far the source reaches along each axis of the new grid, in new voxels, and where its least corner lies seen from
 * its first. MONAI turns the axes to right angles in the order x, y, z, so that x stays and z gives way; what is left
 * of the angle between axes, be it real shear or a float32 affine's rounding, shows as corners below 0. MONAI then no
 * longer keeps the first voxel but the middle of the volume, and so it is done here.
 */
function shearedExtents(source: Grid, size: readonly number[]): { extent: number; least: number }[] {
  const columns = reversedAxes(source.affine)
  const [x, y, z] = [0, 1, 2].map((k) => [columns[k]!, columns[4 + k]!, columns[8 + k]!]) as [
    number[],
    number[],
    number[],
  ]
  const ux = unit(x)
  const uy = unit(minus(y, ux))
  const uz = unit(minus(minus(z, ux), uy))
  const reach = source.shape.map((n) => n - 1)
  const alongX = [dot(ux, x), dot(ux, y), dot(ux, z)]
  const alongY = [0, dot(uy, y), dot(uy, z)]
  const alongZ = [0, 0, dot(uz, z)]
  return [alongZ, alongY, alongX].map((steps, axis) => {
    const spans = steps.map((step, k) => (step * reach[2 - k]!) / size[axis]!)
    return {
      extent: spans.reduce((sum, span) => sum + Math.abs(span), 0),
      least: spans.reduce((sum, span) => sum + Math.min(0, span), 0),
    }
  })
}

const dot = (a: readonly number[], b: readonly number[]) => a[0]! * b[0]! + a[1]! * b[1]! + a[2]! * b[2]!
const unit = (a: readonly number[]) => a.map((value) => value / Math.sqrt(dot(a, a)))
/** What of `a` stands at right angles to the unit vector `u`. */
const minus = (a: readonly number[], u: readonly number[]) => a.map((value, k) => value - dot(a, u) * u[k]!)

function argmaxAbs(values: readonly number[]): 0 | 1 | 2 {
  const sizes = values.map(Math.abs)
  return sizes.indexOf(Math.max(...sizes)) as 0 | 1 | 2
}

/** Without the last digits, which inverting an affine leaves: 1.9999999999998 is 2. */
function snapped(value: number): number {
  return Math.round(value * 1e10) / 1e10 + 0
}
