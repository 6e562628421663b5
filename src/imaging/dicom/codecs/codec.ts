import type { PixelFormat } from '../pixel_format.ts'
import type { CodecName } from '../transfer_syntax.ts'

/** One frame as its codestream says: unsigned bit patterns, [rows, columns, samples], colours pixel by pixel. */
export interface DecodedFrame {
  data: Uint8Array | Uint16Array | Uint32Array
  /** Bits of a sample; the rest of its container is not to be relied on. */
  precision: number
  /** What three samples are. Grey ones say 'rgb' too: nothing is to be done to them. */
  colour: 'rgb' | 'ybr'
}

/** Decodes the bytes of one frame. @throws {ImageError} if they are damaged or not what `format` says */
export type Codec = (bytes: Uint8Array, format: PixelFormat) => DecodedFrame | Promise<DecodedFrame>

/** Loaded when the first file needs them. JPEG 2000 and HTJ2K are OpenJPEG; the others are written here. */
export const CODECS = {
  rle: async () => (await import('./rle.ts')).decodeRle,
  deflated_frame: async () => (await import('./deflated_frame.ts')).decodeDeflatedFrame,
  jpeg: async () => (await import('./jpeg.ts')).decodeJpeg,
  jpeg_ls: async () => (await import('./jpeg_ls.ts')).decodeJpegLs,
  jpeg_2000: async () => (await import('./jpeg_2000.ts')).decodeJpeg2000,
} satisfies Record<CodecName, () => Promise<Codec>>

/** What the header says of three samples that a codec hands on untouched. */
export function statedColour({ photometric }: PixelFormat): DecodedFrame['colour'] {
  return photometric === 'YBR_FULL' || photometric === 'YBR_FULL_422' ? 'ybr' : 'rgb'
}
