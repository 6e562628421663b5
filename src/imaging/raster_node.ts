import sharp, { type Sharp } from 'sharp'
import { MAX_PIXELS, type StoredHeader, storedHeader } from './header.ts'
import { ImageError } from './image_error.ts'
import type { Raster } from './raster.ts'

// One image gains nothing from threads; callers keep several images in flight. No cache: memory stays bounded.
sharp.concurrency(1)
sharp.cache(false)

/**
 * Decodes PNG, JPEG, TIFF or WebP to the samples in the file: no colour management, no shrink-on-load, no EXIF turn.
 * Palettes and narrow samples are widened, YCbCr becomes RGB. The only platform-dependent part of imaging.
 *
 * @throws {ImageError} if the header is refused (see `storedHeader`) or the pixels are damaged or cut short
 */
export async function decodeRaster(
  bytes: Uint8Array,
  header: StoredHeader = storedHeader(bytes),
): Promise<Raster> {
  const image = sharp(bytes, {
    failOn: STRICTNESS[header.format],
    limitInputPixels: MAX_PIXELS,
    ignoreIcc: true,
    sequentialRead: true,
  })
  try {
    const { data, info } = await (header.colour === 'cmyk' ? image.pipelineColourspace('cmyk') : image)
      .toColourspace(colourSpace(header))
      .raw({ depth: header.bits === 16 ? 'ushort' : 'uchar' })
      .toBuffer({ resolveWithObject: true })
    if (info.height !== header.height || info.width !== header.width || !(info.channels <= 4))
      throw new Error(`${info.height}×${info.width}×${info.channels} decoded`)
    return {
      data: samples(data, header.bits),
      height: info.height,
      width: info.width,
      channels: info.channels as Raster['channels'],
    }
  } catch (cause) {
    throw explain(header, cause)
  }
}

/** Encodes grey or RGB samples, 8- or 16-bit by the array's type, as PNG. */
export async function encodePng(raster: Raster): Promise<Uint8Array> {
  return encodeRaster(raster, 'png')
}

/**
 * Encodes grey or RGB samples; 16-bit ones as PNG or TIFF. All but JPEG are lossless.
 *
 * @param options.orientation EXIF tag, 1 to 8: how viewers turn the image; JPEG and TIFF only
 */
export async function encodeRaster(
  raster: Raster,
  format: 'png' | 'jpeg' | 'tiff' | 'webp',
  options: { orientation?: number } = {},
): Promise<Uint8Array> {
  const { data, height, width, channels } = raster
  const is16 = data instanceof Uint16Array
  const space = channels <= 2 ? (is16 ? 'grey16' : 'b-w') : is16 ? 'rgb16' : 'srgb'
  const image = sharp(data, { raw: { height, width, channels } })
    .pipelineColourspace(space)
    .toColourspace(space)
  const { orientation } = options
  const tagged = orientation === undefined ? image : image.withMetadata({ orientation })
  const encoded = await ENCODERS[format](tagged).toBuffer()
  return new Uint8Array(encoded.buffer, encoded.byteOffset, encoded.length)
}

const ENCODERS = {
  png: (image: Sharp) => image.png({ compressionLevel: 6, adaptiveFiltering: true }),
  jpeg: (image: Sharp) => image.jpeg({ quality: 90 }),
  tiff: (image: Sharp) => image.tiff({ compression: 'lzw', predictor: 'horizontal' }),
  webp: (image: Sharp) => image.webp({ lossless: true }),
}

/**
 * Any damage to the pixels is an error. A TIFF warning is not: microscopes write private tags that libtiff does not
 * know.
 */
const STRICTNESS = { png: 'error', jpeg: 'warning', tiff: 'error', webp: 'error' } as const

/** The space that changes nothing. 8-bit grey with alpha goes through RGB, since `b-w` would drop the alpha. */
function colourSpace(header: StoredHeader): string {
  if (header.colour === 'cmyk') return 'cmyk'
  if (header.bits === 16) return header.colour === 'grey' ? 'grey16' : 'rgb16'
  return header.colour === 'grey' && header.alpha === 'none' ? 'b-w' : 'srgb'
}

function samples(data: Buffer, bits: 8 | 16): Uint8Array | Uint16Array {
  if (bits === 8) return new Uint8Array(data.buffer, data.byteOffset, data.length)
  const isAligned = data.byteOffset % 2 === 0
  const { buffer, byteOffset } = isAligned ? data : Uint8Array.from(data)
  return new Uint16Array(buffer, byteOffset, data.length / 2)
}

/** Why the decoder gave up, in its words, and what to do. */
function explain(header: StoredHeader, cause: unknown): ImageError {
  const detail = (cause instanceof Error ? cause.message : String(cause)).split('\n')[0]!
  const format = header.format.toUpperCase()
  if (/not (supported|configured|implemented)|unsupported/i.test(detail))
    return new ImageError(
      `The ${format} is of a form that is not read (${detail}).`,
      'save it anew as PNG.',
      { cause },
    )
  return new ImageError(
    `The ${format} cannot be decoded: it is damaged or cut short (${detail}).`,
    'copy or download it again; if it opens elsewhere, save it anew as PNG.',
    { cause },
  )
}
