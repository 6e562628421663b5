import factory from '#openjpeg'
import { ImageError } from '../../image_error.ts'
import { damaged } from './damaged.ts'

/** A decoder of OpenJPEG's build by Emscripten. */
export interface OpenJpegDecoder {
  getEncodedBuffer(length: number): Uint8Array
  getDecodedBuffer(): Uint8Array
  decode(): void
  getFrameInfo(): { width: number; height: number; bitsPerSample: number; componentCount: number }
  delete(): void
}

interface OpenJpeg {
  J2KDecoder: new () => OpenJpegDecoder
}

/**
 * Runs `use` with a fresh decoder. OpenJPEG prints to the console and may abort on a broken codestream, which leaves
 * its memory in no known state: what it prints goes into the error, and the next frame gets a new instance.
 *
 * @throws {ImageError} if OpenJPEG gives up, or says that it made do with less than the whole codestream
 */
export async function withOpenJpeg<T>(use: (decoder: OpenJpegDecoder) => T): Promise<T> {
  instance ??= (factory as (options: { print: Print; printErr: Print }) => Promise<OpenJpeg>)({
    print,
    printErr: print,
  })
  const { J2KDecoder } = await instance
  printed.length = 0
  try {
    const decoder = new J2KDecoder()
    const result = use(decoder)
    decoder.delete()
    if (printed.length > 0) throw new Error(printed[0])
    return result
  } catch (cause) {
    instance = null
    if (cause instanceof ImageError && printed.length === 0) throw cause
    throw damaged('JPEG 2000', printed[0] ?? 'its codestream is broken', { cause })
  }
}

type Print = (text: string) => void

let instance: Promise<OpenJpeg> | null = null
const printed: string[] = []
const print: Print = (text) => {
  if (text.startsWith('[ERROR]')) printed.push(text.slice('[ERROR]'.length).trim())
}
