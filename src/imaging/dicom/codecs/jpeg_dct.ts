import { damaged } from './damaged.ts'
import { type HuffmanTable, JpegBits } from './jpeg_bits.ts'
import type { JpegComponent, JpegFrame, JpegScan } from './jpeg_header.ts'

/** One component's samples in whole blocks, as many as whole minimum coded units need. */
export interface JpegPlane {
  data: Uint8Array | Uint16Array
  /** Samples that count; the rest fills up the blocks. */
  width: number
  height: number
  stride: number
}

/** Empty planes for a frame's components. */
export function jpegPlanes({ components, columns, rows, precision }: JpegFrame): JpegPlane[] {
  const [hMax, vMax] = largestFactors(components)
  const across = Math.ceil(columns / (8 * hMax))
  const down = Math.ceil(rows / (8 * vMax))
  return components.map(({ h, v }) => {
    const stride = across * h * 8
    const length = stride * down * v * 8
    return {
      data: precision > 8 ? new Uint16Array(length) : new Uint8Array(length),
      width: Math.ceil((columns * h) / hMax),
      height: Math.ceil((rows * v) / vMax),
      stride,
    }
  })
}

export function largestFactors(components: readonly JpegComponent[]): [h: number, v: number] {
  return [Math.max(...components.map(({ h }) => h)), Math.max(...components.map(({ v }) => v))]
}

/**
 * Decodes a scan of the baseline or extended sequential process into the planes; returns where the scan ended.
 *
 * @see ITU-T T.81, annexes A and F
 */
export function decodeDctScan(scan: JpegScan, bytes: Uint8Array, start: number, planes: JpegPlane[]): number {
  const { frame, restartInterval } = scan
  const isInterleaved = scan.components.length > 1
  const parts = scan.components.map(({ index, dc, ac }) => {
    const component = frame.components[index]!
    const quantization = scan.quantization[component.quantization]
    if (quantization === undefined) throw damaged('JPEG', 'it uses a quantization table that is not there')
    return { plane: planes[index]!, component, quantization, dc, ac: ac as HuffmanTable, predicted: 0 }
  })
  const [hMax, vMax] = largestFactors(frame.components)
  const only = parts[0]!
  const across = isInterleaved ? Math.ceil(frame.columns / (8 * hMax)) : Math.ceil(only.plane.width / 8)
  const down = isInterleaved ? Math.ceil(frame.rows / (8 * vMax)) : Math.ceil(only.plane.height / 8)
  // A block takes at least two bits.
  if ((bytes.length - start) * 4 < across * down) throw damaged('JPEG', 'its compressed data ends too early')
  const bits = new JpegBits(bytes, start)
  const block = new Float64Array(64)
  for (let unit = 0; unit < across * down; unit++) {
    if (unit > 0 && restartInterval > 0 && unit % restartInterval === 0) {
      bits.restart()
      for (const part of parts) part.predicted = 0
    }
    const row = Math.floor(unit / across)
    const column = unit % across
    for (const part of parts) {
      const { h, v } = isInterleaved ? part.component : { h: 1, v: 1 }
      for (let y = 0; y < v; y++)
        for (let x = 0; x < h; x++) {
          part.predicted = readBlock(bits, part, block)
          inverseDct(block)
          store(block, part.plane, (row * v + y) * 8, (column * h + x) * 8, frame.precision)
        }
    }
  }
  return bits.position
}

/** Dequantized coefficients in rows; returns the DC coefficient as the next block's prediction. */
function readBlock(
  bits: JpegBits,
  part: { quantization: Uint16Array; dc: HuffmanTable; ac: HuffmanTable; predicted: number },
  block: Float64Array,
): number {
  block.fill(0)
  const dcSize = bits.symbol(part.dc)
  if (dcSize > 15) throw damaged('JPEG', 'its compressed data is broken (a coefficient of too many bits)')
  const dc = part.predicted + bits.signed(dcSize)
  block[0] = dc * part.quantization[0]!
  for (let k = 1; k < 64; k++) {
    const symbol = bits.symbol(part.ac)
    const size = symbol & 15
    if (size === 0) {
      if (symbol !== 0xf0) break
      k += 15
      continue
    }
    k += symbol >> 4
    if (k > 63) throw damaged('JPEG', 'its compressed data is broken (a block of too many coefficients)')
    block[ZIGZAG[k]!] = bits.signed(size) * part.quantization[k]!
  }
  return dc
}

/** In place; T.81, A.3.3, as two passes of eight one-dimensional transforms. */
function inverseDct(block: Float64Array): void {
  for (let y = 0; y < 64; y += 8) {
    let isFlat = true
    for (let u = 1; u < 8; u++) if (block[y + u] !== 0) isFlat = false
    if (isFlat) block.fill(block[y]! * COSINES[0]!, y, y + 8)
    else transform(block, y, 1)
  }
  for (let x = 0; x < 8; x++) transform(block, x, 8)
}

function transform(block: Float64Array, start: number, step: number): void {
  for (let u = 0; u < 8; u++) LINE[u] = block[start + u * step]!
  for (let x = 0; x < 4; x++) {
    // cos((2(7-x)+1)uπ/16) is the same for even u and negative for odd u.
    const c = x * 8
    const even =
      LINE[0]! * COSINES[c]! +
      LINE[2]! * COSINES[c + 2]! +
      LINE[4]! * COSINES[c + 4]! +
      LINE[6]! * COSINES[c + 6]!
    const odd =
      LINE[1]! * COSINES[c + 1]! +
      LINE[3]! * COSINES[c + 3]! +
      LINE[5]! * COSINES[c + 5]! +
      LINE[7]! * COSINES[c + 7]!
    block[start + x * step] = even + odd
    block[start + (7 - x) * step] = even - odd
  }
}

const LINE = new Float64Array(8)
/** By x and u: C(u)/2 · cos((2x+1)uπ/16). */
const COSINES = Float64Array.from({ length: 64 }, (_, i) => {
  const [x, u] = [i >> 3, i & 7]
  return (u === 0 ? Math.SQRT1_2 : 1) * 0.5 * Math.cos(((2 * x + 1) * u * Math.PI) / 16)
})

function store(
  block: Float64Array,
  { data, stride }: JpegPlane,
  top: number,
  left: number,
  precision: number,
) {
  const middle = 2 ** (precision - 1) + 0.5
  const largest = 2 ** precision - 1
  for (let y = 0, i = 0; y < 8; y++) {
    const row = (top + y) * stride + left
    for (let x = 0; x < 8; x++, i++) {
      const value = Math.floor(block[i]! + middle)
      data[row + x] = value < 0 ? 0 : value > largest ? largest : value
    }
  }
}

/** Place in a block, row by row, of the k-th coefficient in the file. */
const ZIGZAG = Uint8Array.of(
  ...[0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48],
  ...[41, 34, 27, 20, 13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23],
  ...[30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63],
)
