import { type FilterOptions, type FilterTaps, filterTaps } from './filter_taps.ts'
import type { Planes, Raster } from './raster.ts'

/** Rows and columns of the resized image that are wanted; the rest is never computed. */
export interface Region {
  top: number
  left: number
  height: number
  width: number
}

/**
 * Resizes grey or RGB [H, W, C] to planes [C, height, width], or to a region of them.
 *
 * Two passes, along rows, then along columns; a pass that changes nothing is skipped.
 * 8 bits, antialiased: Pillow's fixed-point arithmetic, bit-equal to `Image.resize(…, BILINEAR or BICUBIC)`.
 * 16 bits, antialiased: doubles, each pass rounded to the nearest integer, bit-equal to Pillow's mode `I;16`, but for
 *   bicubic overshoot beyond 65535, which is clipped here and wraps around in Pillow.
 * Without antialias: doubles, rounded once at the end; within 1 level of PyTorch and OpenCV.
 */
export function resize(
  raster: Raster,
  size: { height: number; width: number },
  options: FilterOptions,
  region: Region = { top: 0, left: 0, ...size },
): Planes {
  const { data, height, width } = raster
  const channels = raster.channels as 1 | 3
  const keepsX = size.width === width && region.width === width
  const keepsY = size.height === height && region.height === height
  const tapsX = keepsX
    ? null
    : filterTaps(width, size.width, { from: region.left, length: region.width }, options)
  const tapsY = keepsY
    ? null
    : filterTaps(height, size.height, { from: region.top, length: region.height }, options)
  // Only the source rows that some output row needs pass through the first pass.
  const [low, high] = tapsY ? extent(tapsY) : [0, height]
  const localTapsY = tapsY && { ...tapsY, first: tapsY.first.map((first) => first - low) }
  const length = region.height * region.width
  const out =
    data instanceof Uint16Array ? new Uint16Array(channels * length) : new Uint8Array(channels * length)
  for (let c = 0; c < channels; c++) {
    const start = low * width * channels + c
    const plane = { start, step: channels, height: high - low, width }
    const target = out.subarray(c * length, (c + 1) * length)
    if (options.antialias && data instanceof Uint8Array)
      resizeFixedPoint({ ...plane, data }, tapsX, localTapsY, target as Uint8Array)
    else resizeFloat({ ...plane, data }, tapsX, localTapsY, target, { roundsBetween: options.antialias })
  }
  return { data: out, channels, height: region.height, width: region.width }
}

/** One channel of interleaved samples: sample (y, x) is `data[start + (y * width + x) * step]`. */
interface Plane<T> {
  data: T
  start: number
  step: number
  height: number
  width: number
}

function extent({ first, count }: FilterTaps): [low: number, high: number] {
  const last = first.length - 1
  return [first[0]!, first[last]! + count[last]!]
}

/** Pillow: 32 bits less 8 of the sample less 2 for bicubic's overshoot. */
const PRECISION_BITS = 22

function resizeFixedPoint(
  plane: Plane<Uint8Array>,
  tapsX: FilterTaps | null,
  tapsY: FilterTaps | null,
  out: Uint8Array,
): void {
  const middle = tapsY === null ? out : new Uint8Array(plane.height * (tapsX?.first.length ?? plane.width))
  if (tapsX === null) gather(plane, middle)
  else horizontalFixedPoint(plane, tapsX, middle)
  if (tapsY !== null) verticalFixedPoint(middle, tapsY, out)
}

function gather(
  { data, start, step }: Plane<Uint8Array | Uint16Array>,
  out: { [i: number]: number; length: number },
) {
  for (let i = 0, at = start; i < out.length; i++, at += step) out[i] = data[at]!
}

function fixedPointWeights({ weights }: FilterTaps): Int32Array {
  return Int32Array.from(weights, (w) => Math.trunc(w * 2 ** PRECISION_BITS + (w < 0 ? -0.5 : 0.5)))
}

function horizontalFixedPoint(plane: Plane<Uint8Array>, taps: FilterTaps, out: Uint8Array): void {
  const { data, start, step, height, width } = plane
  const { stride, first, count } = taps
  const weights = fixedPointWeights(taps)
  const outWidth = first.length
  for (let y = 0, to = 0; y < height; y++) {
    const row = start + y * width * step
    for (let x = 0; x < outWidth; x++, to++) {
      let sum = 1 << (PRECISION_BITS - 1)
      let at = row + first[x]! * step
      const end = x * stride + count[x]!
      for (let k = x * stride; k < end; k++, at += step) sum = (sum + Math.imul(data[at]!, weights[k]!)) | 0
      const value = sum >> PRECISION_BITS
      out[to] = value < 0 ? 0 : value > 255 ? 255 : value
    }
  }
}

function verticalFixedPoint(rows: Uint8Array, taps: FilterTaps, out: Uint8Array): void {
  const { stride, first, count } = taps
  const weights = fixedPointWeights(taps)
  const width = out.length / first.length
  const sums = new Int32Array(width)
  for (let y = 0, to = 0; y < first.length; y++) {
    sums.fill(1 << (PRECISION_BITS - 1))
    for (let k = 0; k < count[y]!; k++) {
      const weight = weights[y * stride + k]!
      const row = (first[y]! + k) * width
      for (let x = 0; x < width; x++) sums[x] = (sums[x]! + Math.imul(rows[row + x]!, weight)) | 0
    }
    for (let x = 0; x < width; x++, to++) {
      const value = sums[x]! >> PRECISION_BITS
      out[to] = value < 0 ? 0 : value > 255 ? 255 : value
    }
  }
}

function resizeFloat(
  plane: Plane<Uint8Array | Uint16Array>,
  tapsX: FilterTaps | null,
  tapsY: FilterTaps | null,
  out: Uint8Array | Uint16Array,
  { roundsBetween }: { roundsBetween: boolean },
): void {
  const top = out instanceof Uint16Array ? 65535 : 255
  const middle = new Float64Array(plane.height * (tapsX?.first.length ?? plane.width))
  if (tapsX === null) gather(plane, middle)
  else horizontalFloat(plane, tapsX, middle)
  if (roundsBetween || tapsY === null) roundInto(middle, middle, top)
  if (tapsY === null) {
    out.set(middle)
    return
  }
  const sums = new Float64Array(out.length)
  verticalFloat(middle, tapsY, sums)
  roundInto(sums, out, top)
}

function horizontalFloat(plane: Plane<Uint8Array | Uint16Array>, taps: FilterTaps, out: Float64Array): void {
  const { data, start, step, height, width } = plane
  const { stride, first, count, weights } = taps
  for (let y = 0, to = 0; y < height; y++) {
    const row = start + y * width * step
    for (let x = 0; x < first.length; x++, to++) {
      let sum = 0
      let at = row + first[x]! * step
      const end = x * stride + count[x]!
      for (let k = x * stride; k < end; k++, at += step) sum += data[at]! * weights[k]!
      out[to] = sum
    }
  }
}

function verticalFloat(rows: Float64Array, taps: FilterTaps, out: Float64Array): void {
  const { stride, first, count, weights } = taps
  const width = out.length / first.length
  for (let y = 0; y < first.length; y++)
    for (let k = 0; k < count[y]!; k++) {
      const weight = weights[y * stride + k]!
      const row = (first[y]! + k) * width
      for (let x = 0; x < width; x++) out[y * width + x]! += rows[row + x]! * weight
    }
}

/** To the nearest integer in 0..top, halves up. */
function roundInto(values: Float64Array, out: Float64Array | Uint8Array | Uint16Array, top: number): void {
  for (let i = 0; i < values.length; i++) out[i] = Math.min(top, Math.max(0, Math.floor(values[i]! + 0.5)))
}
