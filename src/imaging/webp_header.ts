import { ByteReader, truncated } from './byte_reader.ts'
import type { StoredHeader } from './header.ts'
import { ImageError } from './image_error.ts'
import { exifOrientation } from './tiff_header.ts'

/**
 * Header of a WebP file: lossy (VP8), lossless (VP8L) or extended (VP8X).
 *
 * @throws {ImageError} if it is damaged, cut short or animated
 * @see RFC 9649 (2024), sections 2 and 3
 */
export function webpHeader(bytes: Uint8Array): StoredHeader {
  const reader = new ByteReader(bytes, 'WebP', 'little-endian')
  const end = 8 + reader.u32(4)
  if (end > bytes.length) throw truncated('WebP', bytes.length)
  let header: StoredHeader | null = null
  let orientation = 1
  let hasAlpha = false
  for (let at = 12; at + 8 <= end; ) {
    const name = reader.ascii(at, 4)
    const length = reader.u32(at + 4)
    const body = at + 8
    reader.need(body, length)
    if (name === 'ANIM' || name === 'ANMF' || (name === 'VP8X' && (reader.u8(body) & 0x02) !== 0))
      throw new ImageError(
        'The WebP is animated.',
        'save the frame you mean as PNG: fiducial does not choose one for you.',
      )
    if (name === 'VP8X') hasAlpha = (reader.u8(body) & 0x10) !== 0
    if (name === 'VP8 ') header = lossyHeader(reader, body)
    if (name === 'VP8L') header = losslessHeader(reader, body)
    if (name === 'EXIF') orientation = exifOrientation(withoutPrefix(bytes.subarray(body, body + length)))
    at = body + length + (length % 2)
  }
  if (header === null) throw damaged('it holds no image')
  return { ...header, alpha: hasAlpha ? 'alpha' : header.alpha, orientation }
}

function lossyHeader(reader: ByteReader, at: number): StoredHeader {
  if (reader.u24le(at + 3) !== 0x2a019d) throw damaged('its frame has no start code')
  return image(reader.u16(at + 8) & 0x3fff, reader.u16(at + 6) & 0x3fff, {
    alpha: 'none',
    lossy: true,
  })
}

function losslessHeader(reader: ByteReader, at: number): StoredHeader {
  if (reader.u8(at) !== 0x2f) throw damaged('its lossless frame has no signature')
  const fields = reader.u32(at + 1)
  const alpha = ((fields >>> 28) & 1) === 1 ? 'alpha' : 'none'
  return image(((fields >>> 14) & 0x3fff) + 1, (fields & 0x3fff) + 1, { alpha, lossy: false })
}

function image(height: number, width: number, more: Pick<StoredHeader, 'alpha' | 'lossy'>): StoredHeader {
  return { format: 'webp', height, width, bits: 8, colour: 'rgb', orientation: 1, notes: [], ...more }
}

/** Some writers put JPEG's `Exif\0\0` before the TIFF structure. */
function withoutPrefix(exif: Uint8Array): Uint8Array {
  return String.fromCharCode(...exif.subarray(0, 6)) === 'Exif\0\0' ? exif.subarray(6) : exif
}

function damaged(what: string): ImageError {
  return new ImageError(`The WebP header is damaged: ${what}.`, 'copy or download the file again.')
}
