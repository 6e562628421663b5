import { MetricError } from './metric_error.ts'
import type { Box } from './surface.ts'

type Triple = readonly [number, number, number]

/** More distinct values than this are an image's, not a mask's. */
export const MOST_VALUES = 255

/** Places in a volume are counted in 31 bits, steps along an axis in 16. */
const MOST_VOXELS = 2 ** 31 - 1
const LONGEST_AXIS = 2 ** 16 - 3

/** Two masks on one grid, each value as a small number. */
export interface MaskCodes {
  /** Values of both masks but 0, rising; `values[c - 1]` has the code c. Code 0 is background. */
  values: number[]
  reference: Uint8Array
  prediction: Uint8Array
  shape: Triple
  /** Voxels by reference's and prediction's code: `counts[r * (values.length + 1) + p]`. */
  counts: Float64Array
  /** Where a code occurs in either mask, by code - 1. */
  boxes: Box[]
}

/**
 * One pass over two masks: how often their values meet, and where each occurs.
 *
 * @param reference,prediction [Z, Y, X], x fastest; whole numbers of any stored type
 * @throws {MetricError} for sizes that do not fit, a value that is no whole number, or more values than a mask has
 */
export function maskCodes(
  reference: ArrayLike<number>,
  prediction: ArrayLike<number>,
  shape: Triple,
): MaskCodes {
  const size = shape[0] * shape[1] * shape[2]
  if (Math.max(...shape) > LONGEST_AXIS || (shape[0] + 1) * (shape[1] + 1) * (shape[2] + 1) > MOST_VOXELS)
    throw new MetricError(
      `A volume of ${shape.join(' × ')} voxels is too large to measure.\n  do: measure it in parts, or on larger voxels.`,
    )
  for (const [name, mask] of [
    ['reference', reference],
    ['prediction', prediction],
  ] as const)
    if (mask.length !== size)
      throw new MetricError(
        `The ${name} has ${mask.length} voxels, its shape ${shape.join(' × ')} says ${size}.`,
      )
  const values = [...new Set([...maskValues(reference), ...maskValues(prediction)])]
    .filter((value) => value !== 0)
    .sort((a, b) => a - b)
  if (values.length > MOST_VALUES) throw tooMany(values.length)
  const codeOf = new Map(values.map((value, i) => [value, i + 1]))
  return count({
    values,
    reference: encoded(reference, codeOf),
    prediction: encoded(prediction, codeOf),
    shape,
  })
}

/**
 * The distinct values of a mask, 0 included, in no order.
 *
 * @throws {MetricError} for a value that is no whole number, or more values than a mask has
 */
function maskValues(mask: ArrayLike<number>): Set<number> {
  const found = new Set<number>()
  let last = Number.NaN
  for (let i = 0; i < mask.length; i++) {
    const value = mask[i]!
    if (value === last) continue
    if (!found.has(value)) {
      if (!Number.isInteger(value))
        throw new MetricError(
          `A voxel is ${value}; a mask has whole numbers only.\n  do: write the number of each voxel's label, not a probability.`,
        )
      found.add(value)
      if (found.size > MOST_VALUES + 1) throw tooMany(found.size)
    }
    last = value
  }
  return found
}

const tooMany = (numValues: number): MetricError =>
  new MetricError(`There are ${numValues} different values or more: this is an image, not a mask of labels.`)

function encoded(mask: ArrayLike<number>, codeOf: ReadonlyMap<number, number>): Uint8Array {
  const codes = new Uint8Array(mask.length)
  let last = 0
  let code = 0
  for (let i = 0; i < mask.length; i++) {
    const value = mask[i]!
    if (value !== last) {
      last = value
      code = codeOf.get(value) ?? 0
    }
    codes[i] = code
  }
  return codes
}

function count(masks: Omit<MaskCodes, 'counts' | 'boxes'>): MaskCodes {
  const { reference, prediction, values } = masks
  const [Z, Y, X] = masks.shape
  const width = values.length + 1
  const counts = new Float64Array(width * width)
  // By code: lowest z, y, x, highest z, y, x.
  const bounds = values.map(() => [Z, Y, X, -1, -1, -1])
  const grow = (code: number, z: number, y: number, x: number) => {
    const b = bounds[code - 1]!
    if (z < b[0]!) b[0] = z
    if (y < b[1]!) b[1] = y
    if (x < b[2]!) b[2] = x
    if (z > b[3]!) b[3] = z
    if (y > b[4]!) b[4] = y
    if (x > b[5]!) b[5] = x
  }
  let i = 0
  let background = 0
  for (let z = 0; z < Z; z++)
    for (let y = 0; y < Y; y++)
      for (let x = 0; x < X; x++, i++) {
        const r = reference[i]!
        const p = prediction[i]!
        if ((r | p) === 0) {
          background++
          continue
        }
        counts[r * width + p]!++
        if (r > 0) grow(r, z, y, x)
        if (p > 0 && p !== r) grow(p, z, y, x)
      }
  counts[0] = background
  const boxes = bounds.map(
    ([z0, y0, x0, z1, y1, x1]): Box => ({ low: [z0!, y0!, x0!], high: [z1!, y1!, x1!] }),
  )
  return { ...masks, counts, boxes }
}
