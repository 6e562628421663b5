import type { FastifyRequest } from 'fastify'
import { shortPath } from '../storage/local.ts'
import { HttpError, type Limits, unsupportedMediaType } from './http_error.ts'

export interface Upload {
  /** As the answer names it: the last part of what the caller said, without control characters. */
  name: string
  bytes: Uint8Array
}

/**
 * The images of a request: the file parts of multipart/form-data, or the whole body.
 *
 * @throws {HttpError} 400 when there is no image, 413 when there is too much, 415 for another kind of body
 */
export async function readUploads(request: FastifyRequest, limits: Limits): Promise<Upload[]> {
  const uploads = request.isMultipart() ? await multipartFiles(request, limits) : [rawBody(request)]
  if (uploads.length === 0)
    throw new HttpError(400, 'no_files', 'The form holds no file. Add each image as a file part.')
  return uploads
}

/** Bytes that a request announces; its limit when it does not say. */
export function announcedBytes(request: FastifyRequest, limits: Limits): number {
  const header = request.headers['content-length']
  const announced = header === undefined ? Number.NaN : Number(header)
  return Number.isSafeInteger(announced) && announced >= 0 ? announced : limits.maxBodyBytes
}

/**
 * The whole body, of requests that say nothing of their length as of others.
 *
 * @throws FST_ERR_CTP_BODY_TOO_LARGE as soon as more has come than the limit
 */
export async function readBody(payload: AsyncIterable<Buffer>, { maxBodyBytes }: Limits): Promise<Buffer> {
  const chunks: Buffer[] = []
  let total = 0
  for await (const chunk of payload) {
    total += chunk.length
    if (total > maxBodyBytes)
      throw Object.assign(new Error('body too large'), { code: 'FST_ERR_CTP_BODY_TOO_LARGE' })
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function rawBody(request: FastifyRequest): Upload {
  const { body } = request
  if (body === undefined || (Buffer.isBuffer(body) && body.length === 0))
    throw new HttpError(400, 'empty_body', 'The body is empty. Send the bytes of an image.')
  if (!Buffer.isBuffer(body)) throw unsupportedMediaType()
  return { name: 'image', bytes: body }
}

async function multipartFiles(
  request: FastifyRequest,
  { maxBodyBytes, maxFiles }: Limits,
): Promise<Upload[]> {
  const uploads: Upload[] = []
  let total = 0
  const limits = { fileSize: maxBodyBytes, files: maxFiles, fields: 100, parts: maxFiles + 100 }
  try {
    for await (const part of request.files({ limits })) {
      const bytes = await part.toBuffer()
      total += bytes.length
      if (total > maxBodyBytes)
        throw Object.assign(new Error('multipart body too large'), { code: 'FST_ERR_CTP_BODY_TOO_LARGE' })
      uploads.push({ name: displayName(part.filename, uploads.length + 1), bytes })
    }
  } catch (cause) {
    if ((cause as { code?: string }).code?.startsWith('FST_')) throw cause
    throw new HttpError(400, 'bad_multipart', 'The multipart body is cut short or malformed.')
  }
  return uploads
}

/** Callers send paths of their own machines and worse; only a plain name comes back. */
export function displayName(filename: string | undefined, position: number): string {
  const last = (filename ?? '').split(/[/\\]/).at(-1)!
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed
  const plain = last.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '')
  return plain === '' || plain === '.' || plain === '..' ? `image-${position}` : shortPath(plain)
}
