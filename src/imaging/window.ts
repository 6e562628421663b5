import { ImageError } from './image_error.ts'
import type { Raster, SampleMeaning } from './raster.ts'

export interface Window {
  low: number
  high: number
}

/**
 * Maps source values linearly to the stored range, 0..255 or 0..65535: low and below to 0, high and above to the top,
 * rounded to the nearest, halves up. Without a window, 8-bit values keep their meaning (times 257 for 16 stored bits),
 * and files that say how they are to be shown are taken at their word.
 *
 * @param meaning what the samples stand for, where the file says: the window is then in those units
 * @param storedBits 8 for uint8; 16 for int16, whose offset of -32768 is applied when stored
 * @throws {ImageError} if the file and the window cannot belong together
 */
export function applyWindow(
  raster: Raster,
  window: Window | null,
  storedBits: 8 | 16,
  meaning: SampleMeaning | null = null,
): Raster {
  const sourceBits = raster.data instanceof Uint16Array ? 16 : 8
  if (meaning === null && window === null && sourceBits === 16)
    throw new ImageError(
      'The file has 16-bit values, but preprocessing has no window to map them by.',
      'set prepare.window: { low, high } in the recipe, or convert the file to the 8 bits that the others have.',
    )
  if (window !== null && sourceBits === 8 && window.high > Math.max(255, meaning?.values.at(-1) ?? 255))
    throw new ImageError(
      `The file has 8-bit values (0..255), but the window reaches from ${window.low} to ${window.high}: ` +
        'it was made for 16-bit files.',
      'give the file in the 16 bits that the others have; values of the two are not comparable.',
    )
  if (meaning === null && window === null && storedBits === 8) return raster
  const table =
    meaning === null
      ? windowTable(window ?? { low: 0, high: 255 }, sourceBits, storedBits)
      : meaningTable(meaning, window, storedBits)
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

/** Stored value of each sample of a file that says what its samples stand for. */
function meaningTable(
  { values, display, isInverted }: SampleMeaning,
  window: Window | null,
  storedBits: 8 | 16,
): Uint16Array {
  const top = storedBits === 16 ? 65535 : 255
  return Uint16Array.from(values, (value, sample) => {
    const share = window === null ? display[sample]! : (value - window.low) / (window.high - window.low)
    const scaled = Math.min(Math.max(Math.floor(share * top + 0.5), 0), top)
    return isInverted ? top - scaled : scaled
  })
}
