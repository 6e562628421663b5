import type { PixelFormat } from '../pixel_format.ts'
import { type DecodedFrame, statedColour } from './codec.ts'
import { checkSize, damaged } from './damaged.ts'
import { type OpenJpegDecoder, withOpenJpeg } from './openjpeg.ts'

/** JPEG 2000 and HTJ2K, by OpenJPEG. The codestream's header is read here first: OpenJPEG allocates by it. */
export async function decodeJpeg2000(bytes: Uint8Array, format: PixelFormat): Promise<DecodedFrame> {
  const header = sizeSegment(bytes)
  checkSize('JPEG 2000', format, header)
  const data = await withOpenJpeg((decoder) => {
    decoder.getEncodedBuffer(bytes.length).set(bytes)
    decoder.decode()
    const { width, height, componentCount } = decoder.getFrameInfo()
    if (height !== header.rows || width !== header.columns || componentCount !== header.samples)
      throw damaged('JPEG 2000', 'its codestream is broken')
    return samplesOf(decoder, header)
  })
  return { data, precision: header.precision, colour: statedColour(format) }
}

/** A copy of what was decoded, in the container that its precision asks for. */
function samplesOf(
  decoder: OpenJpegDecoder,
  { rows, columns, samples, precision }: ReturnType<typeof sizeSegment>,
): DecodedFrame['data'] {
  const decoded = decoder.getDecodedBuffer()
  const sampleBytes = precision <= 8 ? 1 : precision <= 16 ? 2 : 4
  const expected = rows * columns * samples * sampleBytes
  if (decoded.length !== expected)
    throw damaged('JPEG 2000', `it gives ${decoded.length} bytes, where ${expected} belong`)
  // The copy outlives the decoder, and starts where a typed array may start.
  const { buffer } = decoded.slice()
  if (sampleBytes === 1) return new Uint8Array(buffer)
  return sampleBytes === 2 ? new Uint16Array(buffer) : new Uint32Array(buffer)
}

/** What the codestream's SIZ segment says. @see ISO/IEC 15444-1, A.5.1 */
function sizeSegment(bytes: Uint8Array): {
  rows: number
  columns: number
  samples: number
  precision: number
} {
  const start = codestreamStart(bytes)
  if (start + 46 > bytes.length) throw damaged('JPEG 2000', 'it is cut short within its header')
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, bytes.length - start)
  const at = (offset: number) => view.getUint32(offset)
  const [width, height, left, top] = [at(8), at(12), at(16), at(20)]
  const [tileWidth, tileHeight] = [at(24), at(28)]
  const samples = view.getUint16(40)
  if (view.byteLength < 42 + 3 * samples) throw damaged('JPEG 2000', 'it is cut short within its header')
  const numTiles = Math.ceil(width / tileWidth) * Math.ceil(height / tileHeight)
  if (!(numTiles <= MAX_TILES)) throw damaged('JPEG 2000', `its header claims ${numTiles} tiles`)
  const precisions = Array.from({ length: samples }, (_, c) => (view.getUint8(42 + 3 * c) & 0x7f) + 1)
  for (let c = 0; c < samples; c++)
    if (view.getUint8(43 + 3 * c) !== 1 || view.getUint8(44 + 3 * c) !== 1)
      throw damaged('JPEG 2000', 'its components are subsampled')
  if (new Set(precisions).size !== 1) throw damaged('JPEG 2000', 'its components differ in precision')
  return { rows: height - top, columns: width - left, samples, precision: precisions[0]! }
}

/** Real frames have up to a few hundred. */
const MAX_TILES = 4096

/** The codestream itself, or within a JP2 file, as some writers leave it. */
function codestreamStart(bytes: Uint8Array): number {
  const isStart = (i: number) =>
    bytes[i] === 0xff && bytes[i + 1] === 0x4f && bytes[i + 2] === 0xff && bytes[i + 3] === 0x51
  if (isStart(0)) return 0
  const isJp2 = bytes[4] === 0x6a && bytes[5] === 0x50 && bytes[6] === 0x20 && bytes[7] === 0x20
  if (isJp2) for (let i = 8; i + 4 <= bytes.length; i++) if (isStart(i)) return i
  throw damaged('JPEG 2000', 'it does not start as a codestream does')
}
