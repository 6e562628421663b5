import type { Triple, Voxels } from '../volume.ts'

/**
 * Copies a block of contiguous rows to places that its three axes step through: permutes and flips axes.
 *
 * @param source [a, b, c] of `shape`
 * @param base where the block's first value goes
 * @param strides how far apart in `out` neighbours along a, b and c lie; negative to flip
 */
export function scatter(
  source: Voxels,
  [numA, numB, numC]: Triple,
  out: Voxels,
  base: number,
  [strideA, strideB, strideC]: Triple,
): void {
  if (strideC === 1) {
    for (let a = 0, from = 0; a < numA; a++)
      for (let b = 0; b < numB; b++, from += numC)
        out.set(source.subarray(from, from + numC), base + a * strideA + b * strideB)
    return
  }
  // Tiles: what is written together lies together in `out`, whichever axis is contiguous there.
  for (let a0 = 0; a0 < numA; a0 += TILE)
    for (let b0 = 0; b0 < numB; b0 += TILE)
      for (let c0 = 0; c0 < numC; c0 += TILE) {
        const [a1, b1, c1] = [Math.min(numA, a0 + TILE), Math.min(numB, b0 + TILE), Math.min(numC, c0 + TILE)]
        for (let a = a0; a < a1; a++)
          for (let b = b0; b < b1; b++) {
            const row = (a * numB + b) * numC
            let to = base + a * strideA + b * strideB + c0 * strideC
            for (let c = c0; c < c1; c++, to += strideC) out[to] = source[row + c]!
          }
      }
}

const TILE = 16

/** Steps between neighbours along z, y and x of an array of this shape. */
export function stridesOf(shape: Triple): Triple {
  return [shape[1] * shape[2], shape[2], 1]
}
