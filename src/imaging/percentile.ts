/**
 * The q-th percentile (0..100), interpolated between the two nearest order statistics as NumPy does by default.
 * Reorders a copy; linear time.
 */
export function percentile(values: Float64Array, q: number): number {
  const position = ((values.length - 1) * q) / 100
  const index = Math.floor(position)
  const sorted = values.slice()
  const low = select(sorted, index)
  if (position === index) return low
  // After selection everything beyond `index` is at least as large: the next order statistic is its least.
  let high = Number.POSITIVE_INFINITY
  for (let i = index + 1; i < sorted.length; i++) high = Math.min(high, sorted[i]!)
  return low + (high - low) * (position - index)
}

/** Hoare's selection: puts the k-th smallest value at index k, smaller ones before it, larger ones after. */
function select(a: Float64Array, k: number): number {
  let [low, high] = [0, a.length - 1]
  while (low < high) {
    const pivot = a[(low + high) >> 1]!
    let [i, j] = [low, high]
    while (i <= j) {
      while (a[i]! < pivot) i++
      while (a[j]! > pivot) j--
      if (i > j) break
      const swapped = a[i]!
      a[i] = a[j]!
      a[j] = swapped
      i++
      j--
    }
    if (k <= j) high = j
    else if (k >= i) low = i
    else break
  }
  return a[k]!
}
