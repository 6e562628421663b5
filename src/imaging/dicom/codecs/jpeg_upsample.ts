import type { JpegPlane } from './jpeg_dct.ts'

/**
 * Brings a subsampled component to full size, as [height, width]. Factors of 2 across, and of 2 both ways, are
 * interpolated by a triangle filter with libjpeg's rounding, so that colours agree with other programs'; other
 * factors repeat samples.
 */
export function upsample(plane: JpegPlane, height: number, width: number, factors: [y: number, x: number]) {
  const [fy, fx] = factors
  const out =
    plane.data instanceof Uint16Array ? new Uint16Array(height * width) : new Uint8Array(height * width)
  // libjpeg interpolates where there are more than two samples in a row.
  const isSmooth = fx === 2 && (fy === 1 || fy === 2) && plane.width > 2
  const line = new Int32Array(plane.width)
  for (let y = 0; y < height; y++) {
    const row = Math.floor(y / fy)
    if (!isSmooth) {
      for (let x = 0; x < width; x++)
        out[y * width + x] = plane.data[row * plane.stride + Math.floor(x / fx)]!
      continue
    }
    const neighbour = Math.min(Math.max(row + (y % 2 === 0 ? -1 : 1), 0), plane.height - 1)
    for (let x = 0; x < plane.width; x++) {
      const near = plane.data[row * plane.stride + x]!
      line[x] = fy === 1 ? near : 3 * near + plane.data[neighbour * plane.stride + x]!
    }
    spread(line, out, y * width, width, fy === 1 ? ACROSS : BOTH)
  }
  return out
}

/** Rounding of the left and the right of two samples, and the shift that undoes the filters' weights. */
interface Rounding {
  left: number
  right: number
  shift: number
}
const ACROSS: Rounding = { left: 1, right: 2, shift: 2 }
const BOTH: Rounding = { left: 8, right: 7, shift: 4 }

function spread(
  line: Int32Array,
  out: Uint8Array | Uint16Array,
  start: number,
  width: number,
  { left, right, shift }: Rounding,
): void {
  const last = line.length - 1
  for (let x = 0; x < width; x++) {
    const i = x >> 1
    const isLeft = x % 2 === 0
    const side = isLeft ? Math.max(i - 1, 0) : Math.min(i + 1, last)
    out[start + x] = (3 * line[i]! + line[side]! + (isLeft ? left : right)) >> shift
  }
}
