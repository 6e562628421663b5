import { ImageError } from '../image_error.ts'
import type { Affine, Triple } from '../volume.ts'

/** The product: maps by `b` first, then by `a`. */
export function multiply(a: Affine, b: Affine): Affine {
  const out: number[] = []
  for (let row = 0; row < 4; row++)
    for (let column = 0; column < 4; column++) {
      let sum = 0
      for (let k = 0; k < 4; k++) sum += a[row * 4 + k]! * b[k * 4 + column]!
      out.push(sum)
    }
  return out
}

/**
 * World mm to array indices, or back.
 *
 * @throws {ImageError} if the affine cannot be inverted (see `checkAffine`)
 */
export function invert(affine: Affine): Affine {
  checkAffine(affine)
  const [a, b, c, p, d, e, f, q, g, h, i, r] = affine as readonly number[] as Twelve
  const det = determinant(affine)
  const m = [
    (e * i - f * h) / det,
    (c * h - b * i) / det,
    (b * f - c * e) / det,
    (f * g - d * i) / det,
    (a * i - c * g) / det,
    (c * d - a * f) / det,
    (d * h - e * g) / det,
    (b * g - a * h) / det,
    (a * e - b * d) / det,
  ] as const
  return [
    ...[m[0], m[1], m[2], -(m[0] * p + m[1] * q + m[2] * r)],
    ...[m[3], m[4], m[5], -(m[3] * p + m[4] * q + m[5] * r)],
    ...[m[6], m[7], m[8], -(m[6] * p + m[7] * q + m[8] * r)],
    ...[0, 0, 0, 1],
  ]
}

/** Where a point lies: [z, y, x] indices to [X, Y, Z] mm, or by an inverted affine back. */
export function apply(affine: Affine, [u, v, w]: Triple): Triple {
  const row = (k: number) => affine[k]! * u + affine[k + 1]! * v + affine[k + 2]! * w + affine[k + 3]!
  return [row(0), row(4), row(8)]
}

/** Spacing [z, y, x] in mm: the lengths of the affine's columns. */
export function voxelSizes(affine: Affine): Triple {
  const length = (column: number) => Math.hypot(affine[column]!, affine[column + 4]!, affine[column + 8]!)
  return [length(0), length(1), length(2)]
}

/** The affine of the part of a grid that begins at index `start`. */
export function movedOrigin(affine: Affine, start: Triple): Affine {
  const origin = apply(affine, start)
  return affine.map((value, k) => (k % 4 === 3 && k < 12 ? origin[(k - 3) / 4]! : value))
}

/**
 * From (x, y, z) indices, as NIfTI, nibabel and MONAI count them, to (z, y, x), or back: the first and third columns
 * change places.
 */
export function reversedAxes(affine: Affine): Affine {
  return affine.map((_, k) => affine[k % 4 === 3 ? k : k - (k % 4) + 2 - (k % 4)]!)
}

/**
 * Refuses what places no voxel.
 *
 * @throws {ImageError} if the affine is not 16 finite numbers, its last row is not 0 0 0 1, or it is singular
 */
export function checkAffine(affine: Affine): void {
  const advice =
    'write the file anew with the affine of the scan it comes from; without one nobody can tell where a voxel lies.'
  if (affine.length !== 16) throw new ImageError(`The affine has ${affine.length} numbers, not 16.`, advice)
  if (!affine.every(Number.isFinite))
    throw new ImageError(`The affine is not finite: ${rows(affine)}.`, advice)
  if (affine[12] !== 0 || affine[13] !== 0 || affine[14] !== 0 || affine[15] !== 1)
    throw new ImageError(`The affine's last row is not 0 0 0 1: ${rows(affine)}.`, advice)
  const [z, y, x] = voxelSizes(affine)
  // Relative to the box that its columns would span at right angles: 1 without shear, 0 in a plane.
  if (!(Math.abs(determinant(affine)) > 1e-6 * z * y * x) || !Number.isFinite(z * y * x))
    throw new ImageError(`The affine is singular: ${rows(affine)}.`, advice)
}

type Twelve = [number, number, number, number, number, number, number, number, number, number, number, number]

/** Of the 3×3 part. */
export function determinant(affine: Affine): number {
  const [a, b, c, , d, e, f, , g, h, i] = affine as readonly number[] as Twelve
  return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
}

function rows(affine: Affine): string {
  const row = (k: number) =>
    affine
      .slice(k, k + 4)
      .map((value) => Number(value.toPrecision(6)))
      .join(' ')
  return `[${row(0)}; ${row(4)}; ${row(8)}]`
}
