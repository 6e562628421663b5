/** Share of resamples in which a metric may be undefined before its interval is withheld. */
export const MOST_UNDEFINED = 0.05

export interface Interval {
  low: number | null
  high: number | null
  /** Why there is no interval. */
  withheld?: 'undefined in resamples' | 'no spread'
}

/**
 * Percentile interval of bootstrap samples. NaN samples (metric undefined there) are dropped; above `MOST_UNDEFINED`
 * of them, or without any spread between samples, the interval is withheld rather than shown too narrow.
 *
 * @param samples one value a resample; sorted in place
 * @param confidence e.g. 0.95
 */
export function percentileInterval(samples: Float64Array, confidence: number): Interval {
  samples.sort() // NaN last
  let defined = samples.length
  while (defined > 0 && Number.isNaN(samples[defined - 1]!)) defined--
  if (defined < samples.length * (1 - MOST_UNDEFINED) || defined === 0)
    return { low: null, high: null, withheld: 'undefined in resamples' }
  const sorted = samples.subarray(0, defined)
  if (sorted[0] === sorted[defined - 1]) return { low: null, high: null, withheld: 'no spread' }
  const tail = (1 - confidence) / 2
  return { low: quantile(sorted, tail), high: quantile(sorted, 1 - tail) }
}

/** Linear interpolation between order statistics, as NumPy's default. */
export function quantile(sorted: ArrayLike<number>, p: number): number {
  const at = p * (sorted.length - 1)
  const below = Math.floor(at)
  const low = sorted[below]!
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!
  return low + (high - low) * (at - below)
}
