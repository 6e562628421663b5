import { convolveFixedPoint, convolveFloat, type Lines } from './convolve.ts'
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
 * Two passes, along rows and along columns; a pass that changes nothing is skipped. Columns go first where the height
 * loses more than twice as many pixels as the width, else rows, as in Pillow since 13.0 (before, rows always went
 * first: such images then differ by a level here and there).
 *
 * 8 bits, antialiased: Pillow's fixed-point arithmetic, bit-equal to `Image.resize(…, BILINEAR or BICUBIC)`.
 * 16 bits, antialiased: doubles, each pass rounded to the nearest integer and clipped, bit-equal to Pillow's mode
 *   `I;16` since 12.3 (before, bicubic overshoot wrapped around).
 * Without antialias: doubles, rounded once at the end: PyTorch's `interpolate(align_corners=False)`, rounded. OpenCV's
 *   fixed point is within 1 level of it.
 */
export function resize(
  raster: Raster,
  size: { height: number; width: number },
  options: FilterOptions,
  region: Region = { top: 0, left: 0, ...size },
): Planes {
  const { data, height, width } = raster
  const channels = raster.channels as 1 | 3
  const columns = { from: region.left, length: region.width }
  const rows = { from: region.top, length: region.height }
  const keepsX = size.width === width && region.width === width
  const keepsY = size.height === height && region.height === height
  const taps: Taps = {
    x: keepsX ? null : filterTaps(width, size.width, columns, options),
    y: keepsY ? null : filterTaps(height, size.height, rows, options),
    rowsFirst: !(height > size.height && height - size.height > (width - size.width) * 2),
  }
  const length = region.height * region.width
  const out =
    data instanceof Uint16Array ? new Uint16Array(channels * length) : new Uint8Array(channels * length)
  for (let c = 0; c < channels; c++) {
    const grid = { data, start: c, rowStep: width * channels, columnStep: channels }
    const plane = {
      data: out.subarray(c * length, (c + 1) * length),
      height: region.height,
      width: region.width,
    }
    if (options.antialias && isBytes(grid) && isBytes(plane)) resizeFixedPoint(grid, taps, plane)
    else resizeFloat(grid, taps, plane, options)
  }
  return { data: out, channels, height: region.height, width: region.width }
}

/** null leaves an axis as it is. */
interface Taps {
  x: FilterTaps | null
  y: FilterTaps | null
  rowsFirst: boolean
}

/** Sample (y, x) is `data[start + y * rowStep + x * columnStep]`. */
interface Grid<T> {
  data: T
  start: number
  rowStep: number
  columnStep: number
}

interface Plane<T> {
  data: T
  height: number
  width: number
}

const isBytes = <G extends { data: unknown }>(grid: G): grid is G & { data: Uint8Array } =>
  grid.data instanceof Uint8Array

function resizeFixedPoint(from: Grid<Uint8Array>, taps: Taps, to: Plane<Uint8Array>): void {
  const allocate = (length: number) => new Uint8Array(length)
  twoPasses(from, taps, to, convolveFixedPoint, allocate)
}

/** `antialias` rounds between the passes, as Pillow does for 16 bits. */
function resizeFloat(
  from: Grid<Raster['data']>,
  taps: Taps,
  to: Plane<Raster['data']>,
  { antialias }: FilterOptions,
): void {
  const top = to.data instanceof Uint16Array ? 65535 : 255
  const allocate = (length: number) => new Float64Array(length)
  const sums = { ...to, data: allocate(to.data.length) }
  twoPasses(from, taps, sums, convolveFloat, allocate, (middle) => {
    if (antialias) roundInto(middle, middle, top)
  })
  roundInto(sums.data, to.data, top)
}

function twoPasses<S extends Raster['data'], T extends Uint8Array | Float64Array>(
  from: Grid<S>,
  { x, y, rowsFirst }: Taps,
  to: Plane<T>,
  convolve: (numLines: number, from: Lines<S | T>, taps: FilterTaps, to: Lines<T>) => void,
  allocate: (length: number) => T,
  between: (middle: T) => void = () => {},
): void {
  const out = dense(to.data, to.width)
  if (x === null && y === null) copy(from, to)
  else if (y === null) convolve(to.height, rows(from), x!, rows(out))
  else if (x === null) convolve(to.width, columns(from), y, columns(out))
  else if (rowsFirst) {
    // Source rows that no output row needs take no part in the first pass.
    const [low, length] = needed(y)
    const middle = allocate(length * to.width)
    convolve(length, rows(from, low), x, rows(dense(middle, to.width)))
    between(middle)
    convolve(to.width, columns(dense(middle, to.width, low)), y, columns(out))
  } else {
    const [low, length] = needed(x)
    const middle = allocate(to.height * length)
    convolve(length, columns(from, low), y, columns(dense(middle, length)))
    between(middle)
    const shifted = { ...dense(middle, length), start: 0 - low }
    convolve(to.height, rows(shifted), x, rows(out))
  }
}

/** A row-major array; `firstRow` says which row of the image its first one is. */
function dense<T>(data: T, width: number, firstRow = 0): Grid<T> {
  // Not `-firstRow`: -0 is a double, and index arithmetic in doubles takes half as long again.
  return { data, start: 0 - firstRow * width, rowStep: width, columnStep: 1 }
}

function rows<T>({ data, start, rowStep, columnStep }: Grid<T>, from = 0): Lines<T> {
  return { data, start: start + from * rowStep, step: columnStep, lineStep: rowStep }
}

function columns<T>({ data, start, rowStep, columnStep }: Grid<T>, from = 0): Lines<T> {
  return { data, start: start + from * columnStep, step: rowStep, lineStep: columnStep }
}

/** First source index that any output needs, and how many from there. */
function needed({ first, count }: FilterTaps): [low: number, length: number] {
  const low = first[0]!
  return [low, first.at(-1)! + count.at(-1)! - low]
}

function copy({ data, start, columnStep }: Grid<Raster['data']>, to: Plane<Uint8Array | Float64Array>): void {
  for (let i = 0, at = start; i < to.data.length; i++, at += columnStep) to.data[i] = data[at]!
}

/** To the nearest integer in 0..top, halves up. */
function roundInto(values: Float64Array, out: Float64Array | Raster['data'], top: number): void {
  for (let i = 0; i < values.length; i++) {
    const rounded = Math.floor(values[i]! + 0.5)
    out[i] = rounded < 0 ? 0 : rounded > top ? top : rounded
  }
}
