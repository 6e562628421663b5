import { Inflate } from 'fflate'
import { ImageError } from '../image_error.ts'

/**
 * Inflates a raw deflate stream. What follows the stream is ignored: DICOM pads to an even length, and some writers
 * leave gzip's trailer there.
 *
 * @param maxBytes beyond it the stream is refused: a small file can claim gigabytes
 * @throws {ImageError} if the stream is damaged, cut short or too large
 */
export function inflateRaw(bytes: Uint8Array, maxBytes: number): Uint8Array {
  const chunks: Uint8Array[] = []
  let length = 0
  const stream = new Inflate((chunk) => {
    length += chunk.length
    if (length > maxBytes)
      throw new ImageError(
        `The deflated part of the DICOM file grows beyond the limit of ${maxBytes} bytes.`,
        'write the file without compression; if it is not meant to be that large, leave it out.',
      )
    chunks.push(chunk)
  })
  try {
    for (let at = 0; at === 0 || at < bytes.length; at += STEP)
      stream.push(bytes.subarray(at, at + STEP), at + STEP >= bytes.length)
  } catch (cause) {
    if (cause instanceof ImageError) throw cause
    throw new ImageError(
      'The deflated part of the DICOM file is damaged or cut short.',
      'copy or download it again, or leave the case out.',
      { cause },
    )
  }
  return joined(chunks, length)
}

/** Inflated at a time: grows at most a thousandfold before the limit is looked at. */
const STEP = 2 ** 16

function joined(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const out = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    out.set(chunk, at)
    at += chunk.length
  }
  return out
}
