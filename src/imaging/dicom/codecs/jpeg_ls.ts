import charls from '#charls'
import { interleavePlanes } from '../colour.ts'
import type { PixelFormat } from '../pixel_format.ts'
import { type Codec, type DecodedFrame, statedColour } from './codec.ts'
import { checkSize, damaged } from './damaged.ts'
import { samplesOf, type WasmDecoder, type WasmFactory, wasmCodec } from './wasm.ts'

/** JPEG-LS, lossless and near-lossless, by CharLS. */
export const decodeJpegLs: Codec = wasmCodec(
  'JPEG-LS',
  charls as WasmFactory<{ JpegLSDecoder: new () => WasmDecoder }>,
  (module) => new module.JpegLSDecoder(),
  decode,
)

function decode(decoder: WasmDecoder, bytes: Uint8Array, format: PixelFormat): DecodedFrame {
  const header = frameHeader(bytes)
  checkSize('JPEG-LS', format, header)
  decoder.getEncodedBuffer(bytes.length).set(bytes)
  decoder.decode()
  const info = decoder.getFrameInfo()
  if (info.height !== header.rows || info.width !== header.columns || info.componentCount !== header.samples)
    throw damaged('JPEG-LS', 'its codestream is broken')
  const data = samplesOf('JPEG-LS', decoder, header.precision, format)
  const isPlanar = header.samples === 3 && decoder.getInterleaveMode?.() === 0
  return {
    data: isPlanar ? interleavePlanes(data, 1, header.rows * header.columns) : data,
    precision: header.precision,
    colour: statedColour(format),
  }
}

/** What the frame header (SOF55) says. @see ISO/IEC 14495-1, C.2.2 */
function frameHeader(bytes: Uint8Array): {
  rows: number
  columns: number
  samples: number
  precision: number
} {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) throw damaged('JPEG-LS', 'it does not start as JPEG-LS does')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 2; at + 10 <= bytes.length && bytes[at] === 0xff; at += 2 + view.getUint16(at + 2))
    if (bytes[at + 1] === 0xf7)
      return {
        precision: view.getUint8(at + 4),
        rows: view.getUint16(at + 5),
        columns: view.getUint16(at + 7),
        samples: view.getUint8(at + 9),
      }
  throw damaged('JPEG-LS', 'it has no frame header')
}
