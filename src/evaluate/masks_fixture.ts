import type { MaskPair } from './measure_masks.ts'
import { seededNumbers } from './predictions_fixture.ts'

type Triple = readonly [number, number, number]

/** A mask [Z, Y, X] with 1 where `isInside`. */
export function madeMask(
  [Z, Y, X]: Triple,
  isInside: (z: number, y: number, x: number) => boolean,
): Uint8Array {
  const mask = new Uint8Array(Z * Y * X)
  let i = 0
  for (let z = 0; z < Z; z++)
    for (let y = 0; y < Y; y++) for (let x = 0; x < X; x++) mask[i++] = isInside(z, y, x) ? 1 : 0
  return mask
}

/** Inside: Σ weight · (distance from the middle)² ≤ limit, in voxels. */
export function ellipsoid(shape: Triple, middle: Triple, weights: Triple, limit: number): Uint8Array {
  return madeMask(
    shape,
    (z, y, x) =>
      (z - middle[0]) ** 2 * weights[0] +
        (y - middle[1]) ** 2 * weights[1] +
        (x - middle[2]) ** 2 * weights[2] <=
      limit,
  )
}

/** Scattered voxels, in which every arrangement of neighbours occurs. */
export function scattered(shape: Triple, k: number): Uint8Array {
  return madeMask(shape, (z, y, x) => (z * 7 + y * 11 + x * 17 + z * y * 3 + y * x * k) % 5 < 2)
}

/** Blobs of labels 1 and 2, somewhere in the image and not always there, and a prediction that is off by some voxels. */
export function randomPair(seed: number): MaskPair & Record<'reference' | 'prediction', Uint8Array> {
  const random = seededNumbers(seed)
  const upTo = (n: number) => Math.floor(random() * n)
  const shape = [5 + upTo(6), 8 + upTo(6), 12 + upTo(6)] as const
  const spacing_mm = [0.5 + 3 * random(), 0.4 + random(), 0.6 + 2 * random()] as const
  const blobs = () => {
    const mask = new Uint8Array(shape[0] * shape[1] * shape[2])
    for (const label of [1, 2]) {
      if (random() < 0.2) continue
      const middle = [upTo(shape[0]), upTo(shape[1]), upTo(shape[2])] as const
      const blob = ellipsoid(shape, middle, [1 + upTo(3), 1 + upTo(3), 1 + upTo(3)], 4 + upTo(20))
      for (let i = 0; i < mask.length; i++) if (blob[i]) mask[i] = label
    }
    return mask
  }
  return { reference: blobs(), prediction: blobs(), shape, spacing_mm }
}

/** The same masks with so many voxels of background all round. */
export function padded(
  { reference, prediction, shape, spacing_mm }: MaskPair,
  by: number,
): MaskPair & Record<'reference' | 'prediction', Uint8Array> {
  const wider = [shape[0] + 2 * by, shape[1] + 2 * by, shape[2] + 2 * by] as const
  const at = (mask: ArrayLike<number>) => {
    const out = new Uint8Array(wider[0] * wider[1] * wider[2])
    for (let i = 0; i < mask.length; i++) {
      const x = i % shape[2]
      const y = Math.floor(i / shape[2]) % shape[1]
      const z = Math.floor(i / (shape[2] * shape[1]))
      out[((z + by) * wider[1] + y + by) * wider[2] + x + by] = mask[i]!
    }
    return out
  }
  return { reference: at(reference), prediction: at(prediction), shape: wider, spacing_mm }
}
