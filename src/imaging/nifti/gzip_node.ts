import { promisify } from 'node:util'
import { constants, gunzipSync, gunzip as zlibGunzip, gzip as zlibGzip } from 'node:zlib'

const asyncGunzip = promisify(zlibGunzip)
const asyncGzip = promisify(zlibGzip)

/**
 * Inflates gzip, off the main thread, into one buffer.
 *
 * @param size bytes expected: what is allocated
 * @param limit more bytes than this are an error
 * @throws {Error} the decoder's, if the data are damaged, cut short, or hold more than `limit`
 */
export async function gunzip(bytes: Uint8Array, size: number, limit: number): Promise<Uint8Array> {
  // A chunk that the output does not fill is returned as it is, without being joined to others: no second copy.
  const { buffer, byteOffset, length } = await asyncGunzip(bytes, {
    chunkSize: Math.min(size + 1024, MAX_CHUNK),
    maxOutputLength: limit,
  })
  return new Uint8Array(buffer, byteOffset, length)
}

/** The first bytes that the start of a gzip file holds: fewer than `length` if it ends or is damaged before. */
export async function gunzipStart(bytes: Uint8Array, length: number): Promise<Uint8Array> {
  const start = bytes.subarray(0, START_BYTES)
  return new Uint8Array(gunzipSync(start, { finishFlush: constants.Z_SYNC_FLUSH })).subarray(0, length)
}

export async function gzip(bytes: Uint8Array): Promise<Uint8Array> {
  const { buffer, byteOffset, length } = await asyncGzip(bytes, { level: 6 })
  return new Uint8Array(buffer, byteOffset, length)
}

/** zlib counts in 32 bits; beyond, chunks are joined. */
const MAX_CHUNK = 2 ** 31

/** Enough for a header behind a file name, and too little to inflate to more than 4 MB. */
const START_BYTES = 4096
