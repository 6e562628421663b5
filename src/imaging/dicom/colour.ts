type Samples = Uint8Array | Uint16Array | Uint32Array

/**
 * YCbCr pixels to RGB, in place: full range, ITU-R 601.
 *
 * @param bits of a sample; half the range is colourless
 * @see DICOM PS3.3, C.7.6.3.1.2
 */
export function ybrToRgb(data: Samples, bits: number): void {
  const middle = 2 ** (bits - 1)
  const largest = 2 ** bits - 1
  for (let at = 0; at < data.length; at += 3) {
    const y = data[at]! + 0.5
    const cb = data[at + 1]! - middle
    const cr = data[at + 2]! - middle
    data[at] = clamped(y + 1.402 * cr, largest)
    data[at + 1] = clamped(y - GREEN_CB * cb - GREEN_CR * cr, largest)
    data[at + 2] = clamped(y + 1.772 * cb, largest)
  }
}

const GREEN_CB = (0.114 * 1.772) / 0.587
const GREEN_CR = (0.299 * 1.402) / 0.587

function clamped(value: number, largest: number): number {
  return value < 0 ? 0 : value > largest ? largest : Math.floor(value)
}

/** Colour planes [frames, 3, pixels] to colours pixel by pixel [frames, pixels, 3]. */
export function interleavePlanes<T extends Samples>(planes: T, numFrames: number, pixels: number): T {
  const out = planes.slice() as T
  for (let frame = 0; frame < numFrames; frame++)
    for (let c = 0; c < 3; c++) {
      const from = (frame * 3 + c) * pixels
      for (let i = 0, at = frame * 3 * pixels + c; i < pixels; i++, at += 3) out[at] = planes[from + i]!
    }
  return out
}

/** Colours for every second pixel of a row (Y Y Cb Cr) to colours for each (Y Cb Cr Y Cb Cr). */
export function expand422<T extends Samples>(data: T, out: T): T {
  for (let from = 0, at = 0; at < out.length; from += 4)
    for (let i = 0; i < 2; i++, at += 3) {
      out[at] = data[from + i]!
      out[at + 1] = data[from + 2]!
      out[at + 2] = data[from + 3]!
    }
  return out
}
