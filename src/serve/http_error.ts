import type { FastifyError } from 'fastify'

/** An answer that is no result: status, a stable code for programs, a message for people. */
export class HttpError extends Error {
  override name = 'HttpError'
  readonly status: number
  readonly code: string
  readonly headers: Record<string, string>

  constructor(status: number, code: string, message: string, headers: Record<string, string> = {}) {
    super(message)
    this.status = status
    this.code = code
    this.headers = headers
  }
}

export interface Limits {
  maxBodyBytes: number
  maxFiles: number
}

/**
 * What a caller is told about a failure of the framework or of ours. The framework's messages may quote the
 * request, so each known code has its own words, and everything unknown is a plain 500.
 */
export function toHttpError(error: unknown, limits: Limits): HttpError {
  if (error instanceof HttpError) return error
  const { code = '', statusCode } = error as Partial<FastifyError>
  const megabytes = `${Number((limits.maxBodyBytes / 1e6).toPrecision(3))} MB`
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
    case 'FST_REQ_FILE_TOO_LARGE':
      return new HttpError(413, 'too_large', `The request is larger than ${megabytes}. Send fewer files.`)
    case 'FST_FILES_LIMIT':
    case 'FST_PARTS_LIMIT':
      return new HttpError(413, 'too_many_files', `At most ${limits.maxFiles} files a request.`)
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
    case 'FST_INVALID_MULTIPART_CONTENT_TYPE':
      return unsupportedMediaType()
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return new HttpError(400, 'bad_request', 'The body is not as long as its content-length says.')
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return new HttpError(statusCode, 'bad_request', 'The request cannot be understood.')
  return new HttpError(500, 'internal', 'The server failed on this request; its log has the request id.')
}

export function unsupportedMediaType(): HttpError {
  return new HttpError(
    415,
    'unsupported_media_type',
    'Send files as multipart/form-data, or one file as the body: an image with content-type image/*, a volume or a zip ' +
      'archive with application/gzip or application/zip, either with application/octet-stream.',
  )
}
