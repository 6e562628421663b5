import { ImageError } from './image_error.ts'
import type { Raster } from './raster.ts'

export interface Window {
  low: number
  high: number
}

/**
 * Maps source values linearly to the stored range, 0..255 or 0..65535: low and below to 0, high and above to the top,
 * rounded to the nearest, halves up. Without a window, 8-bit values keep their meaning (times 257 for 16 stored bits).
 *
 * @param storedBits 8 for uint8; 16 for int16, whose offset of -32768 is applied when stored
 * @throws {ImageError} if the file and the window cannot belong together
 */
export function applyWindow(raster: Raster, window: Window | null, storedBits: 8 | 16): Raster {
  const sourceBits = raster.data instanceof Uint16Array ? 16 : 8
  if (window === null && sourceBits === 16)
    throw new ImageError(
      'The file has 16-bit values, but preprocessing has no window to map them by.',
      'set prepare.window: { low, high } in the recipe, or convert the file to the 8 bits that the others have.',
    )
  if (window !== null && sourceBits === 8 && window.high > 255)
    throw new ImageError(
      `The file has 8-bit values (0..255), but the window reaches from ${window.low} to ${window.high}: ` +
        'it was made for 16-bit files.',
      'give the file in the 16 bits that the others have; values of the two are not comparable.',
    )
  if (window === null && storedBits === 8) return raster
  const table = windowTable(window ?? { low: 0, high: 255 }, sourceBits, storedBits)
  const { data } = raster
  const out = storedBits === 16 ? new Uint16Array(data.length) : new Uint8Array(data.length)
  for (let i = 0; i < data.length; i++) out[i] = table[data[i]!]!
  return { ...raster, data: out }
}

/** Stored value of each source value. */
function windowTable({ low, high }: Window, sourceBits: 8 | 16, storedBits: 8 | 16): Uint16Array {
  const top = storedBits === 16 ? 65535 : 255
  const table = new Uint16Array(2 ** sourceBits)
  for (let value = 0; value < table.length; value++) {
    const scaled = Math.floor(((value - low) / (high - low)) * top + 0.5)
    table[value] = scaled < 0 ? 0 : scaled > top ? top : scaled
  }
  return table
}
