import { dicomHeader } from './dicom/decode_image.ts'
import { ImageError } from './image_error.ts'
import { jpegHeader } from './jpeg_header.ts'
import { pngHeader } from './png_header.ts'
import { type ImageFormat, type RasterFormat, sniffFormat } from './signature.ts'
import { tiffHeader } from './tiff_header.ts'
import { webpHeader } from './webp_header.ts'

/** What an image file holds, by its header alone. Height and width are after the EXIF turn. */
export interface ImageHeader {
  format: ImageFormat
  height: number
  width: number
  /** Of a decoded sample: 1-, 2- and 4-bit samples decode to 8. */
  bits: 8 | 16
  /** 1 grey (with or without alpha), 3 RGB (palettes and CMYK decode to it), 4 RGB with alpha. */
  channels: 1 | 3 | 4
  /** Decoders may differ by a few grey levels. */
  lossy: boolean
}

/** Memory that the image takes once decoded, whatever the size of its file. */
export const decodedBytes = ({ height, width, channels, bits }: ImageHeader) =>
  (height * width * channels * bits) / 8

/** A header as stored, before the EXIF turn. */
export interface StoredHeader {
  format: RasterFormat
  height: number
  width: number
  bits: 8 | 16
  colour: 'grey' | 'rgb' | 'cmyk'
  /** What a channel beyond the colours is; an unspecified one is ignored. */
  alpha: 'none' | 'alpha' | 'unspecified'
  lossy: boolean
  /** EXIF: 1 upright … 8; values outside are read as 1. */
  orientation: number
  notes: string[]
}

/**
 * Largest image decoded. A header that claims more is refused before anything is decoded: it is a tile atlas, a
 * whole slide, or a decompression bomb. 2^27 pixels (11,585 squared) is 4 times the largest mammogram.
 */
export const MAX_PIXELS = 2 ** 27

/**
 * The header of PNG, JPEG, TIFF, WebP or DICOM bytes; decodes no pixels.
 *
 * @throws {ImageError} if the file is something else, damaged, animated, of several pages or frames, of a sample type that
 *   is not read, or larger than MAX_PIXELS
 */
export async function readHeader(bytes: Uint8Array): Promise<ImageHeader> {
  return sniffFormat(bytes) === 'dicom' ? dicomHeader(bytes) : uprightHeader(storedHeader(bytes))
}

/** As `readHeader`, with what decoding needs besides; of the formats that `#raster` decodes. */
export function storedHeader(bytes: Uint8Array): StoredHeader {
  const format = sniffFormat(bytes)
  if (format === 'dicom')
    throw new ImageError('The file is DICOM.', 'give it where DICOM is read, or export it as 16-bit PNG.')
  const header = PARSERS[format](bytes)
  const { height, width } = header
  if (height === 0 || width === 0)
    throw new ImageError(
      `The header says ${height}×${width} pixels (height × width).`,
      'the file is damaged: copy it again.',
    )
  if (height * width > MAX_PIXELS)
    throw new ImageError(
      `The header says ${height}×${width} pixels (height × width), more than the limit of 2^27 = ${MAX_PIXELS}.`,
      'cut a whole slide into tiles first; if the real image is not that large, the file is damaged or hostile: leave it out.',
    )
  return header
}

/** The header as a user sees the image: turned. */
export function uprightHeader(header: StoredHeader): ImageHeader {
  const turned = header.orientation >= 5
  return {
    format: header.format,
    height: turned ? header.width : header.height,
    width: turned ? header.height : header.width,
    bits: header.bits,
    channels: header.colour === 'grey' ? 1 : header.colour === 'rgb' && header.alpha === 'alpha' ? 4 : 3,
    lossy: header.lossy,
  }
}

const PARSERS: Record<RasterFormat, (bytes: Uint8Array) => StoredHeader> = {
  png: pngHeader,
  jpeg: jpegHeader,
  tiff: tiffHeader,
  webp: webpHeader,
}
