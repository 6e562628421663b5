import { ImageError } from '../image_error.ts'
import type { Affine } from '../volume.ts'

/** The sform: the affine of (x, y, z) indices, row by row, as it is stored. */
export function sformAffine({ srows }: { srows: readonly number[] }): Affine {
  return [...srows, 0, 0, 0, 1]
}

/** A rotation as a quaternion, with voxel sizes and an offset. */
export interface Qform {
  version: 1 | 2
  /** pixdim[0..3]: qfac, the handedness, then voxel sizes of x, y, z */
  pixdim: readonly number[]
  /** quatern_b, _c, _d and qoffset_x, _y, _z */
  quaternion: readonly number[]
}

/**
 * The qform's affine of (x, y, z) indices, as nibabel computes it.
 *
 * @throws {ImageError} if b, c and d are too long for a rotation
 */
export function qformAffine({ version, pixdim, quaternion }: Qform): Affine {
  const [b, c, d, ...offset] = quaternion as [number, number, number, number, number, number]
  const rest = 1 - (b * b + c * c + d * d)
  // As exact as the header's own numbers: what is this close to 0 is half a turn.
  const slack = 3 * (version === 1 ? 2 ** -23 : 2 ** -52)
  if (!(rest >= -slack))
    throw new ImageError(
      `The NIfTI file's quaternion (${[b, c, d].join(', ')}) is not a rotation.`,
      'write the file anew with the affine of the scan it comes from.',
    )
  const a = rest < slack ? 0 : Math.sqrt(rest)
  const s = 2 / (a * a + b * b + c * c + d * d)
  // A qfac of anything but -1 is taken as 1, as nibabel mends it.
  const size = [1, 2, 3].map((k) => Math.abs(pixdim[k]!) * (k === 3 && pixdim[0] === -1 ? -1 : 1))
  const rotation = [
    [1 - s * (c * c + d * d), s * (b * c - a * d), s * (b * d + a * c)],
    [s * (b * c + a * d), 1 - s * (b * b + d * d), s * (c * d - a * b)],
    [s * (b * d - a * c), s * (c * d + a * b), 1 - s * (b * b + c * c)],
  ]
  return [
    ...rotation.flatMap((row, k) => [...row.map((value, column) => value * size[column]!), offset[k]!]),
    ...[0, 0, 0, 1],
  ]
}

/**
 * The qform of an affine of (x, y, z) indices, if it has one: axes at right angles.
 *
 * @returns qfac and b, c, d, or null with shear
 */
export function quaternionOf(affine: Affine): { qfac: 1 | -1; quaternion: [number, number, number] } | null {
  const column = (k: number) => [affine[k]!, affine[k + 4]!, affine[k + 8]!]
  const columns = [0, 1, 2].map((k) => column(k).map((value) => value / Math.hypot(...column(k))))
  const dot = (j: number, k: number) =>
    columns[j]!.reduce((sum, value, i) => sum + value * columns[k]![i]!, 0)
  if (Math.max(Math.abs(dot(0, 1)), Math.abs(dot(0, 2)), Math.abs(dot(1, 2))) > 1e-5) return null
  const [[r11, r21, r31], [r12, r22, r32], z] = columns as [Three, Three, Three]
  const qfac =
    (r21 * r32 - r31 * r22) * z[0] + (r31 * r12 - r11 * r32) * z[1] + (r11 * r22 - r21 * r12) * z[2] > 0
      ? 1
      : -1
  const [r13, r23, r33] = z.map((value) => value * qfac) as Three
  // The largest of the four is found first, and the others from it (nifti_mat44_to_quatern does the same).
  const squares = [1 + r11 + r22 + r33, 1 + r11 - r22 - r33, 1 - r11 + r22 - r33, 1 - r11 - r22 + r33]
  const largest = squares.indexOf(Math.max(...squares))
  const twice = Math.sqrt(squares[largest]!)
  const h = 0.5 / twice
  const quaternion = [
    [twice / 2, (r32 - r23) * h, (r13 - r31) * h, (r21 - r12) * h],
    [(r32 - r23) * h, twice / 2, (r12 + r21) * h, (r13 + r31) * h],
    [(r13 - r31) * h, (r12 + r21) * h, twice / 2, (r23 + r32) * h],
    [(r21 - r12) * h, (r13 + r31) * h, (r23 + r32) * h, twice / 2],
  ][largest]!
  const sign = quaternion[0]! < 0 ? -1 : 1
  return { qfac, quaternion: quaternion.slice(1).map((value) => value * sign) as Three }
}

type Three = [number, number, number]
