import { ImageError } from '../image_error.ts'
import type { Affine, Triple, Volume } from '../volume.ts'
import { apply, checkAffine, determinant, reversedAxes, voxelSizes } from './affine.ts'
import type { Grid } from './grid.ts'
import { scatter, stridesOf } from './scatter.ts'

/** World directions by letter: which world axis, and whether towards its larger values. */
const DIRECTIONS: Readonly<Record<string, { world: 0 | 1 | 2; sign: 1 | -1 }>> = {
  R: { world: 0, sign: 1 },
  L: { world: 0, sign: -1 },
  A: { world: 1, sign: 1 },
  P: { world: 1, sign: -1 },
  S: { world: 2, sign: 1 },
  I: { world: 2, sign: -1 },
}

/** How each axis, in the order x, y, z, runs through the patient. */
type Orientation = { world: 0 | 1 | 2; sign: 1 | -1 }[]

/**
 * The directions in which x, y and z grow, e.g. `RAS`, as nibabel's `aff2axcodes` names them.
 *
 * @throws {ImageError} if the affine places no voxel
 */
export function axcodes(affine: Affine): string {
  return orientationOf(affine)
    .map(({ world, sign }) => ['LR', 'PA', 'IS'][world]![sign === 1 ? 1 : 0])
    .join('')
}

/** Whether three letters name an orientation: one of R and L, one of A and P, one of S and I, in any order. */
function isOrientation(codes: string): boolean {
  const worlds = [...codes].map((letter) => DIRECTIONS[letter]?.world)
  return codes.length === 3 && [0, 1, 2].every((world) => worlds.includes(world as 0 | 1 | 2))
}

/**
 * Permutes and flips a volume's axes so that they run in the directions named, as MONAI's Orientationd does. Voxels
 * keep their values and their places in the patient. A volume that already runs so is returned itself.
 *
 * @param codes directions of x, y, z, e.g. `RAS`
 */
export function reorient(volume: Volume, codes: string): Volume {
  const { shape, affine } = orientedGrid(volume, codes)
  const axes = orientedAxes(volume.affine, codes)
  if (axes.every(({ axis, flipped }, k) => axis === k && !flipped)) return volume
  const { data, channels } = volume
  const size = shape[0] * shape[1] * shape[2]
  const strides = [0, 0, 0]
  let base = 0
  for (const [k, { axis, flipped }] of axes.entries()) {
    const stride = stridesOf(shape)[k]!
    strides[axis] = flipped ? -stride : stride
    if (flipped) base += (shape[k]! - 1) * stride
  }
  const out = new (data.constructor as new (length: number) => typeof data)(data.length)
  for (let c = 0; c < channels; c++)
    scatter(
      data.subarray(c * size, (c + 1) * size),
      volume.shape,
      out.subarray(c * size, (c + 1) * size),
      base,
      strides as unknown as Triple,
    )
  return { data: out, channels, shape, affine }
}

/** The grid that `reorient` makes. */
export function orientedGrid({ shape, affine }: Grid, codes: string): Grid {
  const axes = orientedAxes(affine, codes)
  const first = [0, 0, 0]
  for (const { axis, flipped } of axes) first[axis] = flipped ? shape[axis]! - 1 : 0
  const origin = apply(affine, first as unknown as Triple)
  const oriented: number[] = []
  for (let row = 0; row < 3; row++)
    oriented.push(
      ...axes.map(({ axis, flipped }) => (flipped ? -1 : 1) * affine[row * 4 + axis]! + 0),
      origin[row]!,
    )
  return {
    shape: axes.map(({ axis }) => shape[axis]!) as unknown as Triple,
    affine: [...oriented, 0, 0, 0, 1],
  }
}

/** An axis of a reoriented volume: which axis of the source it is, and whether it runs the other way. */
interface OrientedAxis {
  axis: 0 | 1 | 2
  flipped: boolean
}

/** The target's z, y, x as axes of the source. */
function orientedAxes(affine: Affine, codes: string): OrientedAxis[] {
  if (!isOrientation(codes))
    throw new ImageError(
      `"${codes}" is no orientation.`,
      'name the directions of x, y and z by one of R and L, one of A and P, one of S and I, as in RAS or LPS.',
    )
  const source = orientationOf(affine)
  const wanted = [...codes].map((letter) => DIRECTIONS[letter]!)
  return wanted
    .map(({ world, sign }) => {
      const axis = source.findIndex((candidate) => candidate.world === world)
      return { axis: (2 - axis) as 0 | 1 | 2, flipped: source[axis]!.sign !== sign }
    })
    .reverse()
}

/**
 * nibabel's `io_orientation`: the nearest rotation to the affine's directions; then, from the axis that is surest to
 * the least sure, each takes the world axis still free that it follows most.
 */
function orientationOf(affine: Affine): Orientation {
  checkAffine(affine)
  const rotation = nearestRotation(reversedAxes(affine))
  const strongest = [0, 1, 2].map((k) => Math.max(...[0, 1, 2].map((row) => rotation[row * 4 + k]! ** 2)))
  const order = [0, 1, 2].sort((a, b) => strongest[b]! - strongest[a]! || a - b)
  const found: Orientation = []
  const free = new Set<0 | 1 | 2>([0, 1, 2])
  for (const k of order) {
    let world = [...free][0]!
    for (const row of free)
      if (Math.abs(rotation[row * 4 + k]!) > Math.abs(rotation[world * 4 + k]!)) world = row
    free.delete(world)
    found[k] = { world, sign: rotation[world * 4 + k]! < 0 ? -1 : 1 }
  }
  return found
}

/**
 * The orthogonal factor of the polar decomposition of the affine's normalised columns, by Newton's iteration.
 *
 * @see Higham, SIAM J. Sci. Stat. Comput. 7 (1986) 1160-1174
 */
function nearestRotation(affine: Affine): number[] {
  const sizes = voxelSizes(affine)
  let m = affine.map((value, k) => (k % 4 < 3 && k < 12 ? value / sizes[k % 4]! : 0))
  for (let round = 0; round < 50; round++) {
    const inverse = inverseTransposed(m)
    const next = m.map((value, k) => (value + inverse[k]!) / 2)
    const change = Math.max(...next.map((value, k) => Math.abs(value - m[k]!)))
    m = next
    if (change < 1e-15) break
  }
  return m
}

function inverseTransposed(m: readonly number[]): number[] {
  const at = (row: number, column: number) => m[(row % 3) * 4 + (column % 3)]!
  const det = determinant(m)
  return m.map((_, k) => {
    const [row, column] = [Math.floor(k / 4), k % 4]
    if (row === 3 || column === 3) return 0
    return (
      (at(row + 1, column + 1) * at(row + 2, column + 2) -
        at(row + 1, column + 2) * at(row + 2, column + 1)) /
      det
    )
  })
}
