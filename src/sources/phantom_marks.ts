import type { RandomStream } from './random_stream.ts'

/** A lead letter: R near the upper left corner (the patient's right), L near the upper right. */
export function drawMarker(grey: Uint8Array, size: number, letter: 'L' | 'R', random: RandomStream): void {
  const pixel = Math.max(1, Math.round(size / 90))
  const margin = Math.round(size * random.between(0.03, 0.07))
  const top = Math.round(size * random.between(0.03, 0.1))
  const left = letter === 'R' ? margin : size - margin - 5 * pixel
  drawGlyph(grey, size, LETTERS[letter], { width: 5, left, top, pixel, value: 250 })
}

/** The text at the bottom centre, left out where it does not fit. */
export function drawText(grey: Uint8Array, size: number, text: string): void {
  const pixel = Math.max(1, Math.floor(size / 160))
  const width = (4 * text.length - 1) * pixel
  if (width > size - 4) return
  const left = Math.floor((size - width) / 2)
  for (let row = size - 8 * pixel; row < size - pixel; row++)
    grey.fill(12, row * size + left - pixel, row * size + left + width + pixel)
  for (const [i, letter] of [...text].entries())
    drawGlyph(grey, size, SMALL[letter]!, {
      width: 3,
      left: left + 4 * i * pixel,
      top: size - 7 * pixel,
      pixel,
      value: 225,
    })
}

function drawGlyph(
  grey: Uint8Array,
  size: number,
  rows: readonly number[],
  at: { width: number; left: number; top: number; pixel: number; value: number },
): void {
  for (const [r, bits] of rows.entries()) {
    for (let c = 0; c < at.width; c++) {
      if (((bits >> (at.width - 1 - c)) & 1) === 0) continue
      for (let dy = 0; dy < at.pixel; dy++)
        grey.fill(
          at.value,
          (at.top + r * at.pixel + dy) * size + at.left + c * at.pixel,
          (at.top + r * at.pixel + dy) * size + at.left + (c + 1) * at.pixel,
        )
    }
  }
}

/** Glyphs as rows of bits, most significant at the left. */
const LETTERS: Record<'L' | 'R', readonly number[]> = {
  L: [0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b11111],
  R: [0b11110, 0b10001, 0b10001, 0b11110, 0b10100, 0b10010, 0b10001],
}
const SMALL: Record<string, readonly number[]> = {
  C: [0b011, 0b100, 0b100, 0b100, 0b011],
  E: [0b111, 0b100, 0b110, 0b100, 0b111],
  H: [0b101, 0b101, 0b111, 0b101, 0b101],
  I: [0b111, 0b010, 0b010, 0b010, 0b111],
  N: [0b111, 0b101, 0b101, 0b101, 0b101],
  S: [0b011, 0b100, 0b010, 0b001, 0b110],
  T: [0b111, 0b010, 0b010, 0b010, 0b010],
  Y: [0b101, 0b101, 0b010, 0b010, 0b010],
}
