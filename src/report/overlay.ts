/** A slice to draw, as it is looked at: its first row is the top. */
export interface Slice {
  height: number
  width: number
  /** Of a pixel: [down, across]. */
  spacing_mm: readonly [number, number]
  /** [height, width], 0 where no label is. */
  reference: ArrayLike<number>
  prediction: ArrayLike<number>
  /** Grey values [height, width]; null draws the masks alone. */
  image: ArrayLike<number> | null
  /** Red, green and blue of a colour image, each as `image`, which is drawn instead of it. */
  colours?: readonly ArrayLike<number>[]
}

/** Colour pixels [height, width, 3]. */
export interface Overlay {
  data: Uint8Array
  height: number
  width: number
}

type Colour = readonly [number, number, number]
/** Blue and orange: told apart by most eyes, on grey, and in print. */
export const REFERENCE_COLOUR: Colour = [64, 180, 255]
export const PREDICTION_COLOUR: Colour = [255, 150, 50]
const BACKGROUND = 26
const BOTH = 118
/** Share of the grey values that are drawn black, and as many white. */
const CLIPPED = 0.005

/**
 * Outlines of reference and prediction over the image, or over the masks themselves: where both agree grey, else in
 * the colour of the one. Pixels are square whatever the spacing; outlines follow the voxels' edges, and where one
 * label borders another there is one line.
 *
 * @param longest of the drawing's sides, in pixels
 */
export function overlay(slice: Slice, longest: number): Overlay {
  const extent = [slice.height * slice.spacing_mm[0], slice.width * slice.spacing_mm[1]] as const
  const scale = longest / Math.max(...extent)
  const height = Math.max(1, Math.round(extent[0] * scale))
  const width = Math.max(1, Math.round(extent[1] * scale))
  const rows = Array.from({ length: height }, (_, r) => ((r + 0.5) / height) * slice.height)
  const columns = Array.from({ length: width }, (_, c) => ((c + 0.5) / width) * slice.width)
  const data = new Uint8Array(3 * height * width)
  const grey = slice.image && greyOf(slice.image)
  const colours = slice.colours?.map((one) => shadeOf(one, ...rangeOf(slice.colours!)))
  const reference = enlarged(slice.reference, slice.width, rows, columns)
  const prediction = enlarged(slice.prediction, slice.width, rows, columns)
  for (let r = 0, i = 0; r < height; r++)
    for (let c = 0; c < width; c++, i++) {
      const shade = grey ? grey(slice, rows[r]! - 0.5, columns[c]! - 0.5) : BACKGROUND
      data.fill(shade, 3 * i, 3 * i + 3)
      if (colours)
        for (const [k, of] of colours.entries())
          data[3 * i + k] = of(slice, rows[r]! - 0.5, columns[c]! - 0.5)
      if (!grey && reference[i] === prediction[i] && reference[i] !== 0) data.fill(BOTH, 3 * i, 3 * i + 3)
      if (!grey && reference[i] !== prediction[i])
        paint(data, i, reference[i] === 0 ? PREDICTION_COLOUR : REFERENCE_COLOUR, 0.45)
    }
  // The reference is drawn broader and first: where both outlines run together, both are seen.
  drawOutline(data, reference, height, width, REFERENCE_COLOUR, 3)
  drawOutline(data, prediction, height, width, PREDICTION_COLOUR, 2)
  return { data, height, width }
}

type Shade = (slice: Slice, y: number, x: number) => number

/** Maps grey values to 0..255, interpolating between pixels. */
function greyOf(image: ArrayLike<number>): Shade {
  const sorted = Float64Array.from(image).filter(Number.isFinite).sort()
  const low = sorted[Math.floor(CLIPPED * (sorted.length - 1))] ?? 0
  const high = sorted[Math.ceil((1 - CLIPPED) * (sorted.length - 1))] ?? 0
  return shadeOf(image, low, high)
}

/** The whole range that the samples of a colour image have: its colours stay as they are. */
function rangeOf(colours: readonly ArrayLike<number>[]): [number, number] {
  const isWide = colours.some((one) => Array.prototype.some.call(one, (value: number) => value > 255))
  return [0, isWide ? 65535 : 255]
}

function shadeOf(image: ArrayLike<number>, low: number, high: number): Shade {
  const at = (slice: Slice, y: number, x: number) => {
    const row = Math.min(Math.max(y, 0), slice.height - 1)
    const value = image[row * slice.width + Math.min(Math.max(x, 0), slice.width - 1)]!
    return Number.isFinite(value) ? value : low
  }
  return (slice, y, x) => {
    const [y0, x0] = [Math.floor(y), Math.floor(x)]
    const [fy, fx] = [y - y0, x - x0]
    const top = at(slice, y0, x0) * (1 - fx) + at(slice, y0, x0 + 1) * fx
    const bottom = at(slice, y0 + 1, x0) * (1 - fx) + at(slice, y0 + 1, x0 + 1) * fx
    const value = top * (1 - fy) + bottom * fy
    return high > low ? Math.round(255 * Math.min(Math.max((value - low) / (high - low), 0), 1)) : BACKGROUND
  }
}

/** The mask at the drawing's size: each of its pixels has the label of the voxel that it lies in. */
function enlarged(
  mask: ArrayLike<number>,
  maskWidth: number,
  rows: readonly number[],
  columns: readonly number[],
): Float64Array {
  const out = new Float64Array(rows.length * columns.length)
  let i = 0
  for (const y of rows) {
    const row = Math.floor(y) * maskWidth
    for (const x of columns) out[i++] = mask[row + Math.floor(x)]!
  }
  return out
}

/** A line along the inner edge of every label; between two labels, on the side of the higher value. */
function drawOutline(
  data: Uint8Array,
  mask: Float64Array,
  height: number,
  width: number,
  colour: Colour,
  thickness: number,
): void {
  const isEdge = (r: number, c: number, value: number) => {
    for (let d = 1; d <= thickness; d++)
      for (const [dr, dc] of [
        [-d, 0],
        [d, 0],
        [0, -d],
        [0, d],
      ] as const) {
        const [y, x] = [r + dr, c + dc]
        const other = y < 0 || x < 0 || y >= height || x >= width ? 0 : mask[y * width + x]!
        if (other < value) return true
      }
    return false
  }
  for (let r = 0, i = 0; r < height; r++)
    for (let c = 0; c < width; c++, i++)
      if (mask[i] !== 0 && isEdge(r, c, mask[i]!)) paint(data, i, colour, 1)
}

function paint(data: Uint8Array, pixel: number, colour: Colour, opacity: number): void {
  for (let k = 0; k < 3; k++)
    data[3 * pixel + k] = Math.round(data[3 * pixel + k]! * (1 - opacity) + colour[k]! * opacity)
}
