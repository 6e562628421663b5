import { isDicom } from './dicom/signature.ts'
import { ImageError } from './image_error.ts'

export const FORMATS = ['png', 'jpeg', 'tiff', 'webp', 'dicom'] as const
export type ImageFormat = (typeof FORMATS)[number]
/** Those that `#raster` decodes. */
export type RasterFormat = Exclude<ImageFormat, 'dicom'>

/**
 * The format by the file's first bytes; a name or an extension decides nothing. Nothing but these formats is
 * ever handed to a decoder, so an SVG or HTML file is never rendered, whatever it is called.
 *
 * @throws {ImageError} naming what the file is instead, where its first bytes tell
 */
export function sniffFormat(bytes: Uint8Array): ImageFormat {
  if (bytes.length === 0)
    throw new ImageError('The file is empty (0 bytes).', 'copy or download it again, or leave the case out.')
  for (const format of FORMATS)
    if (format === 'dicom' ? isDicom(bytes) : SIGNATURES[format].some((s) => matches(bytes, s))) return format
  const other = OTHERS.find(([, signature]) => matches(bytes, signature))
  if (other !== undefined) throw new ImageError(`The file is ${other[0]}, which is not read.`, other[2])
  const text = textKind(bytes)
  if (text !== null) throw new ImageError(`The file is ${text[0]}, not an image.`, text[1])
  const start = [...bytes.subarray(0, 8)].map((b) => b.toString(16).padStart(2, '0')).join(' ')
  throw new ImageError(
    `The file is not a PNG, JPEG, TIFF, WebP or DICOM image; it starts with the bytes ${start}.`,
    'convert it to PNG, or leave the case out.',
  )
}

/** The format that `#raster` would decode, by the first bytes; null for anything else. */
export function rasterFormat(bytes: Uint8Array): RasterFormat | null {
  const found = Object.entries(SIGNATURES).find(([, some]) => some.some((one) => matches(bytes, one)))
  return found === undefined ? null : (found[0] as RasterFormat)
}

export const isRasterFormat = (name: string): name is RasterFormat => Object.hasOwn(SIGNATURES, name)

/** Bytes expected at an offset. */
type Signature = readonly (readonly [offset: number, bytes: string])[]

const SIGNATURES: Record<RasterFormat, readonly Signature[]> = {
  png: [[[0, '\x89PNG\r\n\x1a\n']]],
  jpeg: [[[0, '\xff\xd8\xff']]],
  tiff: [[[0, 'II*\0']], [[0, 'MM\0*']], [[0, 'II+\0']], [[0, 'MM\0+']]],
  webp: [
    [
      [0, 'RIFF'],
      [8, 'WEBP'],
    ],
  ],
}

const TO_PNG = 'convert it to PNG.'
const VOLUME = 'this task reads 2D images: export slices as PNG.'
const OTHERS: readonly (readonly [name: string, signature: Signature, advice: string])[] = [
  ['a GIF', [[0, 'GIF8']], 'GIF may be animated and holds 256 colours: save the frame you mean as PNG.'],
  ['a BMP', [[0, 'BM']], TO_PNG],
  ['gzip-compressed', [[0, '\x1f\x8b']], `unpack it first; if it is a NIfTI volume, ${VOLUME}`],
  ['a NIfTI volume', [[344, 'n+1\0']], VOLUME],
  ['JPEG 2000', [[0, '\0\0\0\x0cjP  ']], TO_PNG],
  ['a JPEG 2000 codestream', [[0, '\xff\x4f\xff\x51']], TO_PNG],
  ['JPEG XL', [[0, '\0\0\0\x0cJXL ']], TO_PNG],
  ['JPEG XL', [[0, '\xff\x0a']], TO_PNG],
  ['HEIC or AVIF', [[4, 'ftyp']], TO_PNG],
  ['a Photoshop document', [[0, '8BPS']], TO_PNG],
  ['a PDF', [[0, '%PDF']], 'export the image in it as PNG.'],
  ['a ZIP archive', [[0, 'PK\x03\x04']], 'unpack it and point at the images in it.'],
  [
    'a macOS resource fork',
    [[0, '\0\x05\x16\x07']],
    'delete it: the image is the file without "._" in front.',
  ],
  ['a NumPy array', [[0, '\x93NUMPY']], 'save it as 16-bit PNG or TIFF.'],
]

function matches(bytes: Uint8Array, signature: Signature): boolean {
  return signature.every(([offset, expected]) =>
    [...expected].every((char, i) => bytes[offset + i] === char.charCodeAt(0)),
  )
}

const TEXTS: readonly (readonly [pattern: RegExp, name: string, advice: string])[] = [
  [/<svg[\s>]/i, 'an SVG drawing', 'drawings are never rendered: export it as PNG.'],
  [
    /^\s*(<!doctype html|<html)/i,
    'a web page (HTML)',
    'the download probably failed or needs a login: fetch it again.',
  ],
  [/^\s*<(\?xml|!--)/i, 'an XML document', 'leave the case out, or give the image that belongs there.'],
  [/^version https:\/\/git-lfs/, 'a Git LFS pointer', 'fetch the real file with "git lfs pull".'],
]

function textKind(bytes: Uint8Array): [name: string, advice: string] | null {
  const head = bytes.subarray(0, 1024)
  if (head.some((b) => b < 32 && b !== 9 && b !== 10 && b !== 12 && b !== 13)) return null
  let text: string
  try {
    // Streaming, since the head may end within a character. A byte order mark is dropped.
    text = new TextDecoder('utf-8', { fatal: true }).decode(head, { stream: true })
  } catch {
    return null
  }
  const kind = TEXTS.find(([pattern]) => pattern.test(text))
  return kind ? [kind[1], kind[2]] : ['text', 'leave the case out, or give the image that belongs there.']
}
