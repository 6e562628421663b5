import type { Triple } from '../volume.ts'

/**
 * Keeps the largest piece of each structure in a mask; pieces touch by faces, edges or corners. Of equals the first in
 * array order stays. What falls away becomes background.
 *
 * @param mask [z, y, x], changed in place
 * @param values of the structure: voxels of any of them belong together
 */
export function keepLargestComponent(mask: Uint8Array, shape: Triple, values: readonly number[]): void {
  const isOfIt = new Uint8Array(256)
  for (const value of values) isOfIt[value] = 1
  const piece = new Int32Array(mask.length)
  const stack: number[] = []
  const [Z, Y, X] = shape
  let largest = { piece: 0, size: 0 }
  let count = 0
  for (let seed = 0; seed < mask.length; seed++) {
    if (isOfIt[mask[seed]!] === 0 || piece[seed] !== 0) continue
    count++
    let size = 0
    piece[seed] = count
    stack.push(seed)
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      size++
      const [z, y, x] = [Math.floor(at / (Y * X)), Math.floor(at / X) % Y, at % X]
      for (let k = Math.max(0, z - 1); k <= Math.min(Z - 1, z + 1); k++)
        for (let j = Math.max(0, y - 1); j <= Math.min(Y - 1, y + 1); j++)
          for (let i = Math.max(0, x - 1); i <= Math.min(X - 1, x + 1); i++) {
            const next = (k * Y + j) * X + i
            if (piece[next] !== 0 || isOfIt[mask[next]!] === 0) continue
            piece[next] = count
            stack.push(next)
          }
    }
    if (size > largest.size) largest = { piece: count, size }
  }
  if (count < 2) return
  for (let i = 0; i < mask.length; i++) if (piece[i] !== 0 && piece[i] !== largest.piece) mask[i] = 0
}
