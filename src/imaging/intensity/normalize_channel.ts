import type { Intensity } from '../../schema/preprocess.ts'
import { percentilesOf } from './percentiles.ts'

/**
 * Makes one channel's values comparable, in place.
 *
 * `zscore` and `nonzero_zscore` are MONAI's NormalizeIntensity(channel_wise=True), without and with nonzero=True: the
 * standard deviation of the population, and where it is 0 only the mean is subtracted.
 *
 * @param channel finite values (see `refuseNonFinite`)
 */
export function normalizeChannel(channel: Float32Array, intensity: Intensity): void {
  if (intensity.kind === 'zscore') zscore(channel)
  else if (intensity.kind === 'nonzero_zscore') nonzeroZscore(channel)
  else if (intensity.kind === 'window') toUnitRange(channel, intensity.low, intensity.high)
  else if (intensity.kind === 'percentile') {
    const [low, high] = percentilesOf(channel, [intensity.low, intensity.high]) as [number, number]
    for (let i = 0; i < channel.length; i++) channel[i] = Math.min(high, Math.max(low, channel[i]!))
    zscore(channel)
  }
}

function zscore(channel: Float32Array): void {
  // Sums are of differences to one of the values, so that those of a constant channel are 0 exactly.
  const pivot = channel[0]!
  let total = 0
  for (let i = 0; i < channel.length; i++) total += channel[i]! - pivot
  const mean = pivot + total / channel.length
  let squares = 0
  for (let i = 0; i < channel.length; i++) squares += (channel[i]! - mean) ** 2
  const std = Math.sqrt(squares / channel.length) || 1
  for (let i = 0; i < channel.length; i++) channel[i] = (channel[i]! - mean) / std
}

/** Zeros are not counted, and stay 0. */
function nonzeroZscore(channel: Float32Array): void {
  const pivot = channel.find((value) => value !== 0)
  if (pivot === undefined) return
  let count = 0
  let total = 0
  for (let i = 0; i < channel.length; i++)
    if (channel[i] !== 0) {
      total += channel[i]! - pivot
      count++
    }
  const mean = pivot + total / count
  let squares = 0
  for (let i = 0; i < channel.length; i++) if (channel[i] !== 0) squares += (channel[i]! - mean) ** 2
  const std = Math.sqrt(squares / count) || 1
  for (let i = 0; i < channel.length; i++) if (channel[i] !== 0) channel[i] = (channel[i]! - mean) / std
}

function toUnitRange(channel: Float32Array, low: number, high: number): void {
  const scale = 1 / (high - low)
  for (let i = 0; i < channel.length; i++) channel[i] = Math.min(1, Math.max(0, (channel[i]! - low) * scale))
}
