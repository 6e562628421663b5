import type { Raster } from './raster.ts'

/**
 * Turns an image upright as its EXIF orientation says: 2 mirrored, 3 half a turn, 4 upside down, 5 transposed,
 * 6 a quarter turn clockwise, 7 transposed across the other diagonal, 8 a quarter turn anticlockwise.
 *
 * @see JEITA CP-3451 (Exif 2.3), section 4.6.4
 */
export function turnUpright(raster: Raster, orientation: number): Raster {
  const isTransposed = orientation >= 5
  const flipsY = [3, 4, 7, 8].includes(orientation)
  const flipsX = [2, 3, 6, 7].includes(orientation)
  return flip(isTransposed ? transpose(raster) : raster, { y: flipsY, x: flipsX })
}

/** Reverses the rows' order (y), the columns' order (x), or both. Without either, the raster itself. */
export function flip(raster: Raster, axes: { y: boolean; x: boolean }): Raster {
  if (!axes.y && !axes.x) return raster
  const { data, height, width, channels } = raster
  const out = data.slice()
  for (let y = 0; y < height; y++) {
    const from = (axes.y ? height - 1 - y : y) * width * channels
    const to = y * width * channels
    if (!axes.x) {
      out.set(data.subarray(from, from + width * channels), to)
      continue
    }
    for (let x = 0; x < width; x++)
      for (let c = 0; c < channels; c++)
        out[to + x * channels + c] = data[from + (width - 1 - x) * channels + c]!
  }
  return { data: out, height, width, channels }
}

function transpose(raster: Raster): Raster {
  const { data, height, width, channels } = raster
  const out = data.slice()
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < channels; c++)
        out[(x * height + y) * channels + c] = data[(y * width + x) * channels + c]!
  return { data: out, height: width, width: height, channels }
}
