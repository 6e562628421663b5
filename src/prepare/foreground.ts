/** Voxels listed of one mask value: enough to draw crops from, as nnU-Net keeps them. */
const MOST_VOXELS = 10_000

export interface ForegroundIndex {
  /** int32 [M, 4]: mask value, z, y, x; by value, then by position. */
  rows: Int32Array
  /** Mask value → voxels, of those above 0. */
  voxels: Record<string, number>
}

/**
 * Where the structures of a mask are, so that crops can be drawn on them without reading it. Of a value with more voxels
 * than are listed, every so many-th is taken.
 *
 * @param mask [Z, Y, X]
 * @param shape [z, y, x]
 */
export function foregroundIndex(mask: Uint8Array, shape: readonly [number, number, number]): ForegroundIndex {
  const counts = new Uint32Array(256)
  for (let i = 0; i < mask.length; i++) counts[mask[i]!]!++
  const values = [...counts.keys()].filter((value) => value > 0 && counts[value]! > 0)
  const kept = counts.map((count) => Math.min(count, MOST_VOXELS))
  const starts = new Uint32Array(256)
  let total = 0
  for (const value of values) {
    starts[value] = total
    total += kept[value]!
  }
  const rows = new Int32Array(total * 4)
  const seen = new Uint32Array(256)
  const taken = new Uint32Array(256)
  const [, numY, numX] = shape
  for (let i = 0; i < mask.length; i++) {
    const value = mask[i]!
    if (value === 0) continue
    // The k-th listed is number floor(k · count / kept) of its value.
    const next = taken[value]!
    if (seen[value]!++ !== Math.floor((next * counts[value]!) / kept[value]!) || next === kept[value]!)
      continue
    taken[value] = next + 1
    rows.set(
      [value, Math.floor(i / (numY * numX)), Math.floor(i / numX) % numY, i % numX],
      (starts[value]! + next) * 4,
    )
  }
  return { rows, voxels: Object.fromEntries(values.map((value) => [value, counts[value]!])) }
}
