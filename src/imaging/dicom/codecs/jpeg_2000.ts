import openJpeg from '#openjpeg'
import type { PixelFormat } from '../pixel_format.ts'
import { type Codec, type DecodedFrame, statedColour } from './codec.ts'
import { checkSize, damaged } from './damaged.ts'
import { samplesOf, type WasmDecoder, type WasmFactory, wasmCodec } from './wasm.ts'

/** JPEG 2000 and HTJ2K, by OpenJPEG. */
export const decodeJpeg2000: Codec = wasmCodec(
  'JPEG 2000',
  openJpeg as WasmFactory<{ J2KDecoder: new () => WasmDecoder }>,
  (module) => new module.J2KDecoder(),
  decode,
)

function decode(decoder: WasmDecoder, bytes: Uint8Array, format: PixelFormat): DecodedFrame {
  const header = sizeSegment(bytes)
  checkSize('JPEG 2000', format, header)
  decoder.getEncodedBuffer(bytes.length).set(bytes)
  decoder.decode()
  const info = decoder.getFrameInfo()
  if (info.height !== header.rows || info.width !== header.columns || info.componentCount !== header.samples)
    throw damaged('JPEG 2000', 'its codestream is broken')
  const data = samplesOf('JPEG 2000', decoder, header.precision, format)
  return { data, precision: header.precision, colour: statedColour(format) }
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
