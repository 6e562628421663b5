import { ImageError } from '../../image_error.ts'
import type { PixelFormat } from '../pixel_format.ts'
import type { Codec, DecodedFrame } from './codec.ts'
import { damaged } from './damaged.ts'

/** The decoders' common face. */
export interface WasmDecoder {
  getEncodedBuffer(length: number): Uint8Array
  getDecodedBuffer(): Uint8Array
  decode(): void
  getFrameInfo(): { width: number; height: number; bitsPerSample: number; componentCount: number }
  /** JPEG-LS: 0 planes, 1 lines, 2 pixels. */
  getInterleaveMode?(): number
  delete(): void
}

/** A build by Emscripten: makes an instance with its own memory. */
export type WasmFactory<M> = (options: {
  print: (text: string) => void
  printErr: (text: string) => void
}) => Promise<M>

/**
 * A codec of an Emscripten build. Decoders print to the console and may abort on a broken codestream, which leaves
 * their memory in no known state: what they print goes into the error, and the next frame gets a new instance.
 */
export function wasmCodec<M>(
  name: string,
  factory: WasmFactory<M>,
  create: (module: M) => WasmDecoder,
  decode: (decoder: WasmDecoder, bytes: Uint8Array, format: PixelFormat) => DecodedFrame,
): Codec {
  const printed: string[] = []
  const print = (text: string) => {
    if (/error/i.test(text) && printed.length < 4) printed.push(text.trim())
  }
  let instance: Promise<M> | null = null
  return async (bytes, format) => {
    instance ??= factory({ print, printErr: print })
    const module = await instance
    printed.length = 0
    try {
      const decoder = create(module)
      const frame = decode(decoder, bytes, format)
      decoder.delete()
      return frame
    } catch (cause) {
      instance = null
      if (cause instanceof ImageError) throw cause
      throw damaged(name, printed[0] ?? 'its codestream is broken', { cause })
    }
  }
}

/** A copy of what was decoded, in the container that its precision asks for. */
export function samplesOf(
  name: string,
  decoder: WasmDecoder,
  precision: number,
  { rows, columns, samples }: PixelFormat,
): DecodedFrame['data'] {
  const decoded = decoder.getDecodedBuffer()
  const sampleBytes = precision <= 8 ? 1 : precision <= 16 ? 2 : 4
  const length = rows * columns * samples
  if (decoded.length !== length * sampleBytes)
    throw damaged(name, `it gives ${decoded.length} bytes, where ${length * sampleBytes} belong`)
  // The copy outlives the decoder, and starts where a typed array may start.
  const { buffer } = decoded.slice()
  return sampleBytes === 1
    ? new Uint8Array(buffer)
    : sampleBytes === 2
      ? new Uint16Array(buffer)
      : new Uint32Array(buffer)
}
