import { ByteReader } from './byte_reader.ts'
import type { StoredHeader } from './header.ts'
import { ImageError } from './image_error.ts'

/**
 * Header of a TIFF or BigTIFF file: its first directory, and how many full-size pages follow.
 *
 * @throws {ImageError} if it is damaged, of several pages, or of a sample type that is not read
 * @see TIFF 6.0 (1992), sections 2 to 8; TIFF/EP for NewSubfileType
 */
export function tiffHeader(bytes: Uint8Array): StoredHeader {
  const reader = tiffReader(bytes, 'TIFF')
  const directories = readDirectories(reader)
  const first = directories[0]
  if (first === undefined) throw damaged('it has no directory')
  // Thumbnails (bit 0) and transparency masks (bit 2) are no pages of their own.
  const others = directories.slice(1)
  const pages = 1 + others.filter((d) => (number(d, TAG.newSubfileType, 0) & 5) === 0).length
  if (pages > 1)
    throw new ImageError(
      `The TIFF has ${pages} pages.`,
      'save the page you mean as a TIFF or PNG of its own: fiducial does not choose one for you.',
    )
  const { bits, notes } = sampleType(first)
  const { colour, extra } = colours(first, bits)
  return {
    format: 'tiff',
    height: number(first, TAG.height, 0),
    width: number(first, TAG.width, 0),
    bits: bits === 16 ? 16 : 8,
    colour,
    alpha:
      extra === 0 ? 'none' : ALPHA_SAMPLES.has(number(first, TAG.extraSamples, 0)) ? 'alpha' : 'unspecified',
    lossy: LOSSY_COMPRESSIONS.has(number(first, TAG.compression, 1)),
    orientation: validOrientation(number(first, TAG.orientation, 1)),
    notes,
  }
}

/** Bits of a sample as stored, and whether samples are indices of a palette, or white at 0, which decoders turn round. */
export function tiffSamples(bytes: Uint8Array): { bits: number; isPalette: boolean; isWhiteZero: boolean } {
  const first = readDirectories(tiffReader(bytes, 'TIFF'))[0]
  if (first === undefined) throw damaged('it has no directory')
  const photometric = number(first, TAG.photometric, 1)
  return {
    bits: sampleType(first).bits,
    isPalette: photometric === PALETTE,
    isWhiteZero: photometric === WHITE_IS_ZERO,
  }
}

/**
 * The orientation tag of an EXIF block, which is a TIFF structure. A damaged block reads as 1, upright: camera
 * metadata must not make an image unreadable.
 */
export function exifOrientation(exif: Uint8Array): number {
  try {
    const first = readDirectories(tiffReader(exif, 'EXIF'))[0]
    return first ? validOrientation(number(first, TAG.orientation, 1)) : 1
  } catch (error) {
    if (error instanceof ImageError) return 1
    throw error
  }
}

const TAG = {
  newSubfileType: 254,
  width: 256,
  height: 257,
  bitsPerSample: 258,
  compression: 259,
  photometric: 262,
  orientation: 274,
  samplesPerPixel: 277,
  extraSamples: 338,
  sampleFormat: 339,
} as const

type Directory = ReadonlyMap<number, readonly number[]>
const MAX_DIRECTORIES = 1000
const MAX_VALUES = 64

/** JPEG (old and new), JPEG 2000 of slide scanners, lossy DNG, WebP, JPEG XL. */
const LOSSY_COMPRESSIONS = new Set([6, 7, 33003, 33004, 33005, 34712, 34892, 50001, 50002, 52546])
/** Premultiplied (1) or straight (2) alpha; anything else has no stated meaning. */
const ALPHA_SAMPLES = new Set([1, 2])

function sampleType(directory: Directory): { bits: number; notes: string[] } {
  const bits = directory.get(TAG.bitsPerSample) ?? [1]
  const formats = directory.get(TAG.sampleFormat) ?? [1]
  const width = bits[0]!
  if (bits.some((b) => b !== width)) throw unread(`channels of different width (${bits.join(', ')} bits)`)
  const format = formats[0]!
  if (format === 3) throw unread(`${width}-bit floating-point samples`)
  if (format === 2) throw unread(`signed ${width}-bit samples`)
  if (![1, 2, 4, 8, 16].includes(width)) throw unread(`${width}-bit samples`)
  return { bits: width, notes: [] }
}

function colours(directory: Directory, bits: number): { colour: StoredHeader['colour']; extra: number } {
  const photometric = number(directory, TAG.photometric, 1)
  const samples = number(directory, TAG.samplesPerPixel, 1)
  const known = PHOTOMETRICS[photometric]
  if (known === undefined) throw unread(`colours of kind ${photometric} (PhotometricInterpretation)`)
  if (known.colour === 'cmyk' && bits !== 8) throw unread(`${bits}-bit CMYK`)
  const extra = samples - known.samples
  if (extra < 0 || extra > 1) throw unread(`${samples} channels`)
  return { colour: known.colour, extra }
}

const WHITE_IS_ZERO = 0
const PALETTE = 3
const PHOTOMETRICS: Record<number, { colour: StoredHeader['colour']; samples: number }> = {
  0: { colour: 'grey', samples: 1 },
  1: { colour: 'grey', samples: 1 },
  2: { colour: 'rgb', samples: 3 },
  3: { colour: 'rgb', samples: 1 },
  5: { colour: 'cmyk', samples: 4 },
  6: { colour: 'rgb', samples: 3 },
}

/** The first two bytes say the order of all that follow: `II` little-endian, `MM` big-endian. */
function tiffReader(bytes: Uint8Array, what: string): ByteReader {
  const isLittle = bytes[0] === 0x49 && bytes[1] === 0x49
  return new ByteReader(bytes, what, isLittle ? 'little-endian' : 'big-endian')
}

function readDirectories(reader: ByteReader): Directory[] {
  const isBig = reader.u16(2) === 43
  const offset = (at: number) => (isBig ? reader.u64(at) : reader.u32(at))
  const directories: Directory[] = []
  const seen = new Set<number>()
  for (let at = offset(isBig ? 8 : 4); at !== 0 && !seen.has(at); ) {
    seen.add(at)
    if (directories.length === MAX_DIRECTORIES) throw damaged(`more than ${MAX_DIRECTORIES} directories`)
    const entries = isBig ? reader.u64(at) : reader.u16(at)
    const entrySize = isBig ? 20 : 12
    const start = at + (isBig ? 8 : 2)
    reader.need(start, entries * entrySize)
    const directory = new Map<number, readonly number[]>()
    for (let i = 0; i < entries; i++) {
      const entry = start + i * entrySize
      const values = readValues(reader, entry, { isBig })
      if (values !== null) directory.set(reader.u16(entry), values)
    }
    directories.push(directory)
    at = offset(start + entries * entrySize)
  }
  return directories
}

/** The first values of a directory entry of an unsigned integer type; null for any other. */
function readValues(reader: ByteReader, entry: number, { isBig }: { isBig: boolean }): number[] | null {
  const size = { 1: 1, 3: 2, 4: 4 }[reader.u16(entry + 2)]
  if (size === undefined) return null
  const count = isBig ? reader.u64(entry + 4) : reader.u32(entry + 4)
  const inline = entry + (isBig ? 12 : 8)
  const fits = count * size <= (isBig ? 8 : 4)
  const at = fits ? inline : isBig ? reader.u64(inline) : reader.u32(inline)
  // Long tables (strip offsets) are the decoder's business, and may lie anywhere.
  if (count === 0 || count > MAX_VALUES) return null
  const read = { 1: reader.u8, 2: reader.u16, 4: reader.u32 }[size]!
  return Array.from({ length: count }, (_, i) => read.call(reader, at + i * size))
}

const number = (directory: Directory, tag: number, missing: number) => directory.get(tag)?.[0] ?? missing
const validOrientation = (value: number) => (value >= 1 && value <= 8 ? value : 1)

function unread(what: string): ImageError {
  return new ImageError(`The TIFF has ${what}; that is not read.`, 'convert it to 8- or 16-bit grey or RGB.')
}

function damaged(what: string): ImageError {
  return new ImageError(`The TIFF header is damaged: ${what}.`, 'copy or download the file again.')
}
