// Test support, which runs in a browser: decodes files that the test's server hands out, and hands the pixels back.
import { ImageError } from '../../image_error.ts'
import { decodePixels } from '../decode_pixels.ts'
import { parseDicom } from '../parse.ts'
import type { PixelFormat } from '../pixel_format.ts'

export type Decoded = { array: string; format: PixelFormat } | { reason: string }

/** @returns what the pixels are, or why the file has none; the pixels' bytes go to `/pixels/<name>` */
export async function decodeFile(name: string): Promise<Decoded> {
  const bytes = new Uint8Array(await (await fetch(`/files/${name}`)).arrayBuffer())
  try {
    const { data, format } = await decodePixels(parseDicom(bytes))
    const body = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength)
    await fetch(`/pixels/${name}`, { method: 'POST', body })
    return { array: data.constructor.name, format }
  } catch (cause) {
    if (!(cause instanceof ImageError)) throw cause
    return { reason: cause.reason }
  }
}

Object.assign(globalThis, { decodeFile })
