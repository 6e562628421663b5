import { ByteReader, truncated } from './byte_reader.ts'
import type { StoredHeader } from './header.ts'
import { ImageError } from './image_error.ts'
import { exifOrientation } from './tiff_header.ts'

/**
 * Header of a PNG file. All chunks are walked: a file that lacks its last chunk is cut short.
 *
 * @throws {ImageError} if it is damaged or animated (APNG)
 * @see W3C Portable Network Graphics, 3rd edition (2025), sections 5 and 11
 */
export function pngHeader(bytes: Uint8Array): StoredHeader {
  const reader = new ByteReader(bytes, 'PNG', 'big-endian')
  if (reader.ascii(12, 4) !== 'IHDR' || reader.u32(8) !== 13) throw damaged('its first chunk is not IHDR')
  const width = reader.u32(16)
  const height = reader.u32(20)
  const bits = reader.u8(24)
  const kind = COLOUR_TYPES[reader.u8(25)]
  if (kind === undefined || !kind.bits.includes(bits))
    throw damaged(`colour type ${reader.u8(25)} with ${bits} bits does not exist`)

  let orientation = 1
  let hasTransparency = kind.hasAlpha
  let frames = 1
  let hasData = false
  for (let at = 8; ; ) {
    const length = reader.u32(at)
    const name = reader.ascii(at + 4, 4)
    reader.need(at + 8, length + 4)
    if (name === 'IEND') break
    if (name === 'IDAT') hasData = true
    if (name === 'tRNS') hasTransparency = true
    if (name === 'acTL') frames = reader.u32(at + 8)
    if (name === 'eXIf') orientation = exifOrientation(bytes.subarray(at + 8, at + 8 + length))
    at += length + 12
  }
  if (!hasData) throw truncated('PNG', bytes.length)
  if (frames > 1)
    throw new ImageError(
      `The PNG is animated (${frames} frames).`,
      'save the frame you mean as a plain PNG: fiducial does not choose one for you.',
    )
  return {
    format: 'png',
    height,
    width,
    bits: bits === 16 ? 16 : 8,
    colour: kind.colour,
    alpha: hasTransparency ? 'alpha' : 'none',
    lossy: false,
    orientation,
    notes: [],
  }
}

const COLOUR_TYPES: Record<number, { colour: 'grey' | 'rgb'; hasAlpha: boolean; bits: number[] }> = {
  0: { colour: 'grey', hasAlpha: false, bits: [1, 2, 4, 8, 16] },
  2: { colour: 'rgb', hasAlpha: false, bits: [8, 16] },
  3: { colour: 'rgb', hasAlpha: false, bits: [1, 2, 4, 8] },
  4: { colour: 'grey', hasAlpha: true, bits: [8, 16] },
  6: { colour: 'rgb', hasAlpha: true, bits: [8, 16] },
}

function damaged(what: string): ImageError {
  return new ImageError(`The PNG header is damaged: ${what}.`, 'copy or download the file again.')
}
