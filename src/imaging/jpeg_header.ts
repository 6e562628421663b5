import { ByteReader } from './byte_reader.ts'
import type { StoredHeader } from './header.ts'
import { ImageError } from './image_error.ts'
import { exifOrientation } from './tiff_header.ts'

/**
 * Header of a JPEG file: its segments up to the first scan.
 *
 * @throws {ImageError} if it is damaged, lossless, 12-bit, or without a frame header before its first scan
 * @see ITU-T T.81 (1992), annex B
 */
export function jpegHeader(bytes: Uint8Array): StoredHeader {
  const reader = new ByteReader(bytes, 'JPEG', 'big-endian')
  let orientation = 1
  for (let at = 2; ; ) {
    if (reader.u8(at) !== 0xff) throw damaged(`no marker where one belongs, at byte ${at}`)
    const marker = reader.u8(at + 1)
    if (marker === 0xff) {
      at += 1 // Any number of 0xff may pad a marker.
      continue
    }
    if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) {
      at += 2 // Markers without a segment.
      continue
    }
    if (marker === 0xd9 || marker === 0xda) throw damaged('it has no frame header before its first scan')
    const length = reader.u16(at + 2)
    if (length < 2) throw damaged(`a segment of ${length} bytes at byte ${at}`)
    reader.need(at + 2, length)
    if (marker === 0xe1 && length >= 8 && reader.ascii(at + 4, 6) === 'Exif\0\0')
      orientation = exifOrientation(bytes.subarray(at + 10, at + 2 + length))
    if (isFrameHeader(marker)) return frameHeader(reader, at, marker, orientation)
    at += 2 + length
  }
}

const isFrameHeader = (marker: number) =>
  marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc

function frameHeader(reader: ByteReader, at: number, marker: number, orientation: number): StoredHeader {
  const coding = marker - 0xc0
  if (coding === 3 || (coding > 4 && coding !== 9 && coding !== 10))
    throw new ImageError(
      `The JPEG uses coding process SOF${coding} (lossless or hierarchical), which is not read.`,
      'convert it to PNG.',
    )
  const bits = reader.u8(at + 4)
  if (bits !== 8)
    throw new ImageError(`The JPEG has ${bits}-bit samples; only 8 are read.`, 'convert it to 16-bit PNG.')
  const components = reader.u8(at + 9)
  const colour = ({ 1: 'grey', 3: 'rgb', 4: 'cmyk' } as const)[components]
  if (colour === undefined) throw damaged(`${components} colour components`)
  const height = reader.u16(at + 5)
  return {
    format: 'jpeg',
    height,
    width: reader.u16(at + 7),
    bits: 8,
    colour,
    alpha: 'none',
    lossy: true,
    orientation,
    notes: [],
  }
}

function damaged(what: string): ImageError {
  return new ImageError(`The JPEG header is damaged: ${what}.`, 'copy or download the file again.')
}
