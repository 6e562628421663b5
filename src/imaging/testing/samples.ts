import { createHash } from 'node:crypto'
import type { ImageSpec } from '../../schema/preprocess.ts'
import type { Raster } from '../raster.ts'

/** Reproducible 32-bit numbers (xorshift). */
export function randomSource(seed: number): () => number {
  let state = seed + 0x9e3779b9
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}

/** Noise over the whole range, a third of it at the two ends, so that overshoot and clipping are met. */
export function noise(
  height: number,
  width: number,
  channels: Raster['channels'],
  bits: 8 | 16 = 8,
  seed = 1,
): Raster {
  const next = randomSource(seed)
  const top = 2 ** bits - 1
  const length = height * width * channels
  const data = bits === 16 ? new Uint16Array(length) : new Uint8Array(length)
  for (let i = 0; i < length; i++) {
    const draw = next()
    data[i] = draw % 6 === 0 ? 0 : draw % 6 === 1 ? top : (draw >>> 8) & top
  }
  return { data, height, width, channels }
}

/**
 * An H&E-like tile: two stains of varying depth laid over glass by Beer and Lambert's law, a corner left bare.
 *
 * @param depth multiplies both stains: the staining protocol
 */
export function tissueTile(
  height: number,
  width: number,
  depth = 1,
  seed = 1,
): Raster & { data: Uint8Array } {
  const next = randomSource(seed)
  const share = () => next() / 2 ** 32
  const haematoxylin = [0.6, 0.7, 0.38]
  const eosin = [0.15, 0.88, 0.45]
  const data = new Uint8Array(height * width * 3)
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const isGlass = x < width / 5 && y < height / 4
      const [h, e] = isGlass ? [0, 0] : [depth * share() ** 2 * 1.6, depth * (0.15 + share() * 0.8)]
      for (let c = 0; c < 3; c++)
        data[at++] = Math.round(236 * Math.exp(-h * haematoxylin[c]! - e * eosin[c]!))
    }
  return { data, height, width, channels: 3 }
}

/** A plain spec, for tests to change what they are about. */
export function plainSpec(changes: Partial<ImageSpec> = {}): ImageSpec {
  return {
    kind: 'image',
    size: [24, 31],
    channels: 1,
    fit: 'squash',
    resample: 'bilinear',
    antialias: true,
    pad_value: 0,
    window: null,
    exif_orientation: true,
    flip: [],
    channel_order: 'rgb',
    stain: null,
    dtype: 'uint8',
    ...changes,
  }
}

/** SHA-256 of an array's bytes (little-endian), in hex. */
export function digest(data: Uint8Array | Uint16Array | Int16Array): string {
  return createHash('sha256')
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    .digest('hex')
}

/** Largest difference between samples of equal position. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let largest = 0
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i]! - b[i]!))
  return largest
}
