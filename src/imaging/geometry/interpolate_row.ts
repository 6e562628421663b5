import type { Taps } from './taps.ts'

/** What `interpolateRow` works with, made once: as many values as a source row has, and room for the rows around. */
export interface RowScratch {
  row: Float64Array
  starts: Int32Array
  weights: Float64Array
}

export function rowScratch(sizeX: number): RowScratch {
  return { row: new Float64Array(sizeX), starts: new Int32Array(16), weights: new Float64Array(16) }
}

/**
 * Separable interpolation of one row: row j of slice k of the target. The source rows around it are summed into one,
 * whose values are then summed along x. A row of weight 0 costs nothing, so that whole steps are cheap.
 *
 * @param base where the source's slice 0 begins in `source`; negative where that lies before it
 * @param out takes the row from `at` on
 */
export function interpolateRow(
  source: Float32Array,
  base: number,
  sizeY: number,
  [z, y, x]: readonly [Taps, Taps, Taps],
  k: number,
  j: number,
  scratch: RowScratch,
  out: Float32Array,
  at: number,
): void {
  const { row, starts, weights } = scratch
  const count = rowsAround(base, sizeY, z, k, y, j, scratch)
  // Fewer values out than in: one pass costs less than summing rows first.
  const isDirect = x.width === 2 && x.inside.length <= row.length
  if (isDirect && count === 1) alongOne(source, starts[0]!, x, out, at)
  else if (isDirect && count === 2)
    alongTwo(source, starts[0]!, weights[0]!, starts[1]!, weights[1]!, x, out, at)
  else {
    sumRows(source, count, scratch)
    if (x.width === 2) alongLinear(row, x, out, at)
    else along(row, x, out, at)
  }
}

/** Where the source rows of weight above or below 0 begin, and their weights, which sum to 1. */
function rowsAround(
  base: number,
  sizeY: number,
  z: Taps,
  k: number,
  y: Taps,
  j: number,
  { row, starts, weights }: RowScratch,
): number {
  let count = 0
  for (let a = k * z.width; a < (k + 1) * z.width; a++)
    for (let b = j * y.width; b < (j + 1) * y.width; b++) {
      const weight = z.weights[a]! * y.weights[b]!
      if (weight === 0) continue
      starts[count] = base + (z.indices[a]! * sizeY + y.indices[b]!) * row.length
      weights[count++] = weight
    }
  return count
}

function alongOne(
  source: Float32Array,
  start: number,
  { indices, weights, inside }: Taps,
  out: Float32Array,
  at: number,
) {
  const size = inside.length
  for (let i = 0; i < size; i++) {
    const low = source[start + indices[2 * i]!]!
    out[at + i] = low + weights[2 * i + 1]! * (source[start + indices[2 * i + 1]!]! - low)
  }
}

function alongTwo(
  source: Float32Array,
  a: number,
  u: number,
  b: number,
  v: number,
  { indices, weights, inside }: Taps,
  out: Float32Array,
  at: number,
): void {
  const size = inside.length
  for (let i = 0; i < size; i++) {
    const from = indices[2 * i]!
    const to = indices[2 * i + 1]!
    const low = u * source[a + from]! + v * source[b + from]!
    const high = u * source[a + to]! + v * source[b + to]!
    out[at + i] = low + weights[2 * i + 1]! * (high - low)
  }
}

function sumRows(source: Float32Array, count: number, { row, starts, weights }: RowScratch): void {
  setRow(source, starts[0]!, weights[0]!, row)
  let r = 1
  for (; r + 1 < count; r += 2) addTwo(source, starts[r]!, weights[r]!, starts[r + 1]!, weights[r + 1]!, row)
  if (r < count) addRow(source, starts[r]!, weights[r]!, row)
}

function setRow(source: Float32Array, start: number, weight: number, row: Float64Array): void {
  for (let i = 0; i < row.length; i++) row[i] = weight * source[start + i]!
}

function addRow(source: Float32Array, start: number, weight: number, row: Float64Array): void {
  for (let i = 0; i < row.length; i++) row[i]! += weight * source[start + i]!
}

function addTwo(source: Float32Array, a: number, u: number, b: number, v: number, row: Float64Array): void {
  for (let i = 0; i < row.length; i++) row[i]! += u * source[a + i]! + v * source[b + i]!
}

function alongLinear(
  row: Float64Array,
  { indices, weights, inside }: Taps,
  out: Float32Array,
  at: number,
): void {
  const size = inside.length
  for (let i = 0; i < size; i++) {
    const low = row[indices[2 * i]!]!
    out[at + i] = low + weights[2 * i + 1]! * (row[indices[2 * i + 1]!]! - low)
  }
}

function along(
  row: Float64Array,
  { width, indices, weights, inside }: Taps,
  out: Float32Array,
  at: number,
): void {
  const size = inside.length
  for (let i = 0; i < size; i++) {
    let sum = 0
    for (let t = i * width; t < (i + 1) * width; t++) sum += weights[t]! * row[indices[t]!]!
    out[at + i] = sum
  }
}
