/**
 * Dice of one structure, 2 |R ∩ P| / (|R| + |P|), without its surfaces: enough to choose by.
 *
 * @param values voxel values that belong to it
 * @returns null where neither mask holds it: there is nothing to measure
 */
export function dice(
  prediction: ArrayLike<number>,
  reference: ArrayLike<number>,
  values: readonly number[],
): number | null {
  const isOfIt = new Uint8Array(256)
  for (const value of values) isOfIt[value] = 1
  let both = 0
  let sum = 0
  for (let i = 0; i < reference.length; i++) {
    const p = isOfIt[prediction[i]!]!
    const r = isOfIt[reference[i]!]!
    both += p & r
    sum += p + r
  }
  return sum === 0 ? null : (2 * both) / sum
}
