import { ByteReader } from './byte_reader.ts'

const PALETTE = 3
const GREY = 0

/**
 * A PNG with a palette as the grey PNG of its indices: both store them alike, so that the colour type in the header
 * changes and the chunks about colours go. Any other PNG as it is.
 *
 * @see W3C Portable Network Graphics, 3rd edition (2025), sections 5 and 11
 */
export function paletteAsGrey(bytes: Uint8Array): Uint8Array {
  if (bytes.length < 33 || bytes[25] !== PALETTE) return bytes
  const reader = new ByteReader(bytes, 'PNG', 'big-endian')
  // A copy: slice of a Buffer would be a view of the file, and of what lies around it.
  const header = new Uint8Array(bytes.subarray(8, 33))
  header[17] = GREY
  new DataView(header.buffer).setUint32(21, crc32(header.subarray(4, 21)))
  const kept = [bytes.subarray(0, 8), header]
  for (let at = 33; at < bytes.length; ) {
    const end = at + reader.u32(at) + 12
    reader.need(at, end - at)
    const name = reader.ascii(at + 4, 4)
    if (name === 'IDAT' || name === 'IEND' || name === 'eXIf') kept.push(bytes.subarray(at, end))
    if (name === 'IEND') break
    at = end
  }
  const out = new Uint8Array(kept.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of kept) {
    out.set(part, at)
    at += part.length
  }
  return out
}

/** ISO 3309, bit by bit: of 17 bytes. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  }
  return (crc ^ 0xffffffff) >>> 0
}
