import { interleavePlanes } from '../colour.ts'
import { inflateRaw } from '../inflate.ts'
import type { PixelFormat } from '../pixel_format.ts'
import { type DecodedFrame, statedColour } from './codec.ts'
import { checkSize, damaged } from './damaged.ts'
import { unpackBits } from './unpack_bits.ts'

/** Deflated Image Frame Compression: the samples of one frame, deflated. @see DICOM PS3.5, A.4.13 */
export function decodeDeflatedFrame(bytes: Uint8Array, format: PixelFormat): DecodedFrame {
  const { rows, columns, samples, bitsAllocated, bitsStored } = format
  checkSize('deflated', format, { rows, columns, samples })
  const length = rows * columns * samples
  const expected = Math.ceil((length * bitsAllocated) / 8)
  const inflated = inflateRaw(bytes, expected + 1)
  if (inflated.length < expected)
    throw damaged('deflated', `it inflates to ${inflated.length} bytes, where ${expected} belong`)
  const colour = statedColour(format)
  if (bitsAllocated === 1) return { data: unpackBits(inflated, 0, length), precision: 1, colour }
  const data =
    bitsAllocated === 8
      ? inflated.subarray(0, length)
      : bitsAllocated === 16
        ? new Uint16Array(inflated.buffer, 0, length)
        : new Uint32Array(inflated.buffer, 0, length)
  return {
    data: format.isPlanar ? interleavePlanes(data, 1, rows * columns) : data,
    precision: bitsStored,
    colour,
  }
}
