import type { PixelFormat } from '../pixel_format.ts'
import { type DecodedFrame, statedColour } from './codec.ts'
import { checkSize, damaged } from './damaged.ts'
import { unpackBits } from './unpack_bits.ts'

/**
 * RLE Lossless: one segment of PackBits per byte of a sample, most significant first, sample by sample.
 *
 * @see DICOM PS3.5, annex G
 */
export function decodeRle(bytes: Uint8Array, format: PixelFormat): DecodedFrame {
  const { rows, columns, samples, bitsAllocated } = format
  checkSize('RLE', format, { rows, columns, samples })
  const length = rows * columns
  if (bitsAllocated === 1) {
    const packed = segments(bytes, 1, Math.ceil(length / 8))[0]!
    return { data: unpackBits(packed, 0, length), precision: 1, colour: 'rgb' }
  }
  const sampleBytes = bitsAllocated / 8
  const planes = segments(bytes, samples * sampleBytes, length)
  const data =
    sampleBytes === 1
      ? new Uint8Array(length * samples)
      : sampleBytes === 2
        ? new Uint16Array(length * samples)
        : new Uint32Array(length * samples)
  for (const [index, plane] of planes.entries()) {
    const sample = Math.floor(index / sampleBytes)
    const scale = 256 ** (sampleBytes - 1 - (index % sampleBytes))
    for (let i = 0, at = sample; i < length; i++, at += samples) data[at]! += plane[i]! * scale
  }
  return { data, precision: format.bitsStored, colour: statedColour(format) }
}

function segments(bytes: Uint8Array, expected: number, length: number): Uint8Array[] {
  if (bytes.length < HEADER_BYTES) throw damaged('RLE', 'it is shorter than its header')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const count = view.getUint32(0, true)
  if (count !== expected) throw damaged('RLE', `it has ${count} segments, where ${expected} belong`)
  // Two bytes make at most 128.
  if (bytes.length * 64 < expected * length)
    throw damaged('RLE', `${bytes.length} bytes cannot hold ${expected * length}`)
  const starts = Array.from({ length: count }, (_, i) => view.getUint32(4 + 4 * i, true))
  return starts.map((start, i) => {
    const end = starts[i + 1] ?? bytes.length
    if (start < HEADER_BYTES || end > bytes.length || start >= end)
      throw damaged('RLE', `segment ${i + 1} lies outside it`)
    return unpack(bytes.subarray(start, end), length, i)
  })
}

const HEADER_BYTES = 64

function unpack(bytes: Uint8Array, length: number, segment: number): Uint8Array {
  const out = new Uint8Array(length)
  let at = 0
  let to = 0
  while (to < length && at < bytes.length) {
    const code = bytes[at++]!
    if (code === 128) continue
    if (code < 128) {
      const run = Math.min(code + 1, length - to, bytes.length - at)
      out.set(bytes.subarray(at, at + run), to)
      at += code + 1
      to += run
    } else {
      const run = Math.min(257 - code, length - to)
      if (at >= bytes.length) break
      out.fill(bytes[at++]!, to, to + run)
      to += run
    }
  }
  if (to < length) throw damaged('RLE', `segment ${segment + 1} ends after ${to} of ${length} bytes`)
  return out
}
