/**
 * Percentiles (0..100), interpolated between the two nearest order statistics as NumPy does by default. Exact, without
 * sorting or copying: float32 has 2^32 values, counted by their upper and then their lower 16 bits.
 *
 * @param values at least one, none of them NaN
 */
export function percentilesOf(values: Float32Array, percents: readonly number[]): number[] {
  const keys = new Uint32Array(values.buffer, values.byteOffset, values.length)
  const upper = new Uint32Array(65536)
  for (let i = 0; i < keys.length; i++) upper[ordered(keys[i]!) >>> 16]!++
  return percents.map((percent) => {
    const position = ((values.length - 1) * percent) / 100
    const index = Math.floor(position)
    const low = orderStatistic(keys, upper, index)
    if (position === index) return low
    return low + (orderStatistic(keys, upper, index + 1) - low) * (position - index)
  })
}

/** The value that stands at `rank`, from 0, among the sorted ones. */
function orderStatistic(keys: Uint32Array, upper: Uint32Array, rank: number): number {
  const [bin, before] = binOf(upper, rank)
  const lower = new Uint32Array(65536)
  for (let i = 0; i < keys.length; i++) {
    const key = ordered(keys[i]!)
    if (key >>> 16 === bin) lower[key & 0xffff]!++
  }
  const [rest] = binOf(lower, rank - before)
  return decode(((bin << 16) | rest) >>> 0)
}

/** The bin that holds the value of this rank, and how many values the bins before it hold. */
function binOf(counts: Uint32Array, rank: number): [bin: number, before: number] {
  let before = 0
  for (let bin = 0; bin < counts.length; bin++) {
    if (rank < before + counts[bin]!) return [bin, before]
    before += counts[bin]!
  }
  throw new RangeError(`There are ${before} values; none has rank ${rank}.`)
}

/** A float's bits as an unsigned integer of the same order. */
function ordered(bits: number): number {
  return (bits >>> 31 === 1 ? ~bits : bits | 0x80000000) >>> 0
}

function decode(key: number): number {
  const bits = key >>> 31 === 1 ? key & 0x7fffffff : ~key
  return new Float32Array(Uint32Array.of(bits >>> 0).buffer)[0]!
}
