import { randomUUID } from 'node:crypto'
import { type IncomingMessage, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { totalmem } from 'node:os'
import multipart from '@fastify/multipart'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { LoadedPackage } from '../package/load.ts'
import { predictFiles } from '../package/predict_files.ts'
import type { PredictResult } from '../schema/results.ts'
import type { ServedModels, ServeError } from '../schema/serving.ts'
import { MemoryBudget } from '../storage/memory_budget.ts'
import { Admission } from './admission.ts'
import { batching } from './batching.ts'
import { describeModels, isSegmenter, takesVolumes } from './describe_models.ts'
import { HttpError, type Limits, toHttpError } from './http_error.ts'
import { acceptedMask, sendMaskFile } from './mask_file.ts'
import { openapi } from './openapi.ts'
import { pageFiles } from './page.ts'
import { watchUpload } from './upload_watch.ts'
import { announcedBytes, readBody, readUploads, type Upload } from './uploads.ts'
import { scoreVolumes } from './volume_scores.ts'
import { type ServedSegmenter, volumeDesk } from './volumes.ts'

export interface AppOptions {
  /** Name → package; the first answers `/v1/predict` where the request names none. */
  models: ReadonlyMap<string, Served>
  version: string
  /** Largest request of images, of volumes, and most files in one. */
  maxBodyBytes?: number
  maxVolumeBytes?: number
  maxFiles?: number
  /** Requests worked on at a time; more are answered 503. */
  maxRequests?: number
  /** Memory to segment one volume in; larger ones are refused by their header. */
  maxCaseBytes?: number
  maxBatch?: number
  batchWaitMs?: number
  /** An upload of which nothing arrives for so long is answered 408. */
  idleMs?: number
  /** Time for a whole request to arrive, half of it for the headers: later is 408. Two minutes; ten where volumes are taken. */
  arrivalMs?: number
  /** Called with each log record: no file name, no query, no header of the caller's. */
  log?: (record: LogRecord) => void
  /** True once the server drains: it then answers readiness with 503. */
  isStopping?: () => boolean
}

export type ServedScorer = Pick<LoadedPackage, 'model' | 'network' | 'warnings' | 'digest' | 'problem'>
export type Served = ServedScorer | ServedSegmenter

/** One line of the server's log. */
export interface LogRecord {
  time: string
  level: 'info' | 'error'
  request_id: string
  method: string
  /** The route's pattern, never the URL as sent. */
  route: string
  status: number
  ms: number
  model?: string
  package_digest?: string
  /** SHA-256 of each image. */
  inputs?: string[]
  failed?: number
  code?: string
  /** Of our own failures: where in the code. The error's message could quote a request and is left out. */
  error?: string
}

declare module 'fastify' {
  interface FastifyRequest {
    note: Partial<LogRecord>
  }
}

export const NOTICE = 'Research use, not a diagnosis.'
const DEFAULTS = {
  maxBodyBytes: 64e6,
  maxVolumeBytes: 512e6,
  maxCaseBytes: totalmem() / 2,
  maxFiles: 64,
  maxRequests: 64,
  maxBatch: 8,
  batchWaitMs: 2,
  idleMs: 10_000,
}
/** A CT of 2,000 instances, and what its zip archive may inflate to as a multiple of the largest request. */
const ZIP_FILES = 10_000
const ZIP_INFLATED = 4
/** Sixteen radiographs of 6 megapixels at a time, or one larger one. */
const DECODED_BYTES = 96e6

/** The HTTP server around model packages: a thin skin of `src/package`; listening is the caller's. */
export async function buildApp(options: AppOptions): Promise<FastifyInstance> {
  const { models, version, log, ...more } = { ...DEFAULTS, ...options }
  const { maxBodyBytes, maxVolumeBytes, maxFiles, maxRequests, maxCaseBytes } = more
  const { maxBatch, batchWaitMs, idleMs } = more
  const known = [...models.keys()]
  const limits: Limits = { maxBodyBytes, maxFiles }
  const volumeLimits: Limits = { maxBodyBytes: maxVolumeBytes, maxFiles }
  const isOfVolumes = (name: string | undefined) => {
    const served = models.get(name ?? known[0]!)
    return served !== undefined && takesVolumes(served)
  }
  const limitsOf = (request: FastifyRequest) => (isOfVolumes(modelOf(request)) ? volumeLimits : limits)
  const largest = known.some(isOfVolumes) ? Math.max(maxBodyBytes, maxVolumeBytes) : maxBodyBytes
  const arrivalMs = options.arrivalMs ?? (largest === maxBodyBytes ? 120_000 : 600_000)
  const app = Fastify({
    bodyLimit: largest,
    requestTimeout: arrivalMs,
    http: {
      requestTimeout: arrivalMs,
      headersTimeout: arrivalMs / 2,
      connectionsCheckingInterval: Math.min(5_000, arrivalMs / 4),
    },
    logger: false,
    genReqId: () => randomUUID(),
    // A caller's own id could carry a patient's.
    requestIdHeader: false,
    forceCloseConnections: 'idle',
    return503OnClosing: true,
    routerOptions: { maxParamLength: 200 },
    onProtoPoisoning: 'error',
    clientErrorHandler: answerMalformed,
    // A path that cannot even be decoded comes here before any hook.
    frameworkErrors: (error, request, reply) => {
      startAnswer(request, reply)
      sendError(toHttpError(error, limitsOf(request)), request, reply)
    },
  })
  await app.register(multipart, { throwFileSizeLimit: true })
  app.removeContentTypeParser(['application/json', 'text/plain'])
  for (const type of BODY_TYPES)
    app.addContentTypeParser(type, (request: FastifyRequest, payload: IncomingMessage) =>
      readBody(payload, limitsOf(request)),
    )
  app.decorateRequest('note')
  app.addHook('onRequest', async (request, reply) => startAnswer(request, reply))
  // A connection that outlives its last answer would hold up the end of a stopping server.
  app.addHook('onSend', async (_request, reply) => {
    if (options.isStopping?.()) reply.header('connection', 'close')
  })
  app.addHook('onResponse', async (request, reply) => {
    log?.(logRecord(request, reply))
  })
  app.setErrorHandler((error, request, reply) => {
    const told = toHttpError(error, limitsOf(request))
    if (told.status >= 500 && !(error instanceof HttpError)) request.note.error = codePlace(error)
    return sendError(told, request, reply)
  })
  app.setNotFoundHandler((request, reply) => sendError(notFound(request, app), request, reply))

  const described: ServedModels = { models: describeModels(models), notice: NOTICE }
  const predictors = new Map(
    [...models].map(([name, served]): [string, Served] => [
      name,
      isSegmenter(served)
        ? served
        : { ...served, network: batching(served.network, { maxBatch, waitMs: batchWaitMs }) },
    ]),
  )
  const volumes = {
    zip: { bytes: ZIP_INFLATED * maxVolumeBytes, files: ZIP_FILES },
    caseBytes: maxCaseBytes,
  }
  const turn = new MemoryBudget(1)
  const segmentVolumes = volumeDesk(volumes, turn)
  const admission = new Admission({ requests: maxRequests, bytes: Math.max(largest, 512e6) })
  const decoding = new MemoryBudget(DECODED_BYTES)

  async function predict(
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<PredictResult | FastifyReply> {
    const query = request.query as { model?: unknown; views?: unknown }
    if (Array.isArray(query.model))
      throw new HttpError(400, 'several_models', 'Name one model; send the files once for each.')
    const name = modelOf(request) ?? known[0]!
    const served = predictors.get(name)
    if (served === undefined) throw unknownModel(known)
    request.note.model = name
    request.note.package_digest = served.digest
    const uploads = await readUploads(request, limitsOf(request))
    const wantsFile = isSegmenter(served) ? acceptedMask(request.headers.accept) : null
    const isGone = () => request.raw.socket.destroyed
    const result = isSegmenter(served)
      ? await segmentVolumes(
          {
            uploads,
            wantsFile,
            wantsViews: query.views === 'true',
            isGone,
          },
          served,
        )
      : served.model.preprocess.kind === 'volume'
        ? await turn.run(1, () => scoreVolumes(uploads, served, volumes, isGone))
        : await scoreImages(uploads, served)
    request.note.inputs = result.predictions.map((p) => p.input_sha256)
    request.note.failed = result.failed.length
    if (result.predictions.length === 0) reply.code(422)
    else if (wantsFile !== null) return sendMaskFile(reply, wantsFile, result.predictions[0]!, served.digest)
    return result
  }
  async function scoreImages(uploads: readonly Upload[], served: ServedScorer): Promise<PredictResult> {
    const files = uploads.map(({ name, bytes }) => ({ name, read: async () => [bytes] }))
    const result: PredictResult = { predictions: [], failed: [], package_digest: served.digest }
    for await (const one of predictFiles(files, served, { batch: maxBatch, budget: decoding })) {
      if ('reason' in one) result.failed.push(one)
      else result.predictions.push(one)
    }
    return result
  }
  /** Before the body is read: what does not fit is refused while it still costs nothing. */
  async function admit(request: FastifyRequest, reply: FastifyReply) {
    const encoding = request.headers['content-encoding']
    if (encoding !== undefined && encoding !== 'identity')
      throw new HttpError(415, 'unsupported_encoding', 'Send the image as it is, without content-encoding.')
    const own = limitsOf(request)
    const bytes = announcedBytes(request, own)
    if (bytes > own.maxBodyBytes) throw Object.assign(new Error(), { code: 'FST_ERR_CTP_BODY_TOO_LARGE' })
    if (!admission.enter(bytes))
      throw new HttpError(503, 'busy', 'The server is at its limit. Try again in a second.', {
        'retry-after': '1',
      })
    const endWatch = watchUpload(request.raw, idleMs, () => sendError(tooLate(), request, reply))
    reply.raw.once('close', () => {
      endWatch()
      admission.leave(bytes)
    })
  }

  app.post('/v1/predict', { onRequest: admit }, predict)
  app.post('/v1/models/:name/predict', { onRequest: admit }, predict)
  app.get('/v1/models', async () => described)
  app.get<{ Params: { name: string } }>('/v1/models/:name', async (request) => {
    const found = described.models.find((model) => model.name === request.params.name)
    if (!found) throw unknownModel(known)
    return found
  })
  app.get('/healthz', async () => ({ status: 'ok' }))
  app.get('/readyz', async (_request, reply) => {
    if (!options.isStopping?.()) return { status: 'ok' }
    reply.code(503)
    return { status: 'stopping' }
  })
  app.get('/openapi.json', async () =>
    openapi(described.models, version, { images: limits, volumes: volumeLimits }),
  )
  for (const { path, type, body, headers } of await pageFiles())
    app.get(path, async (_request, reply) => reply.headers(headers).type(type).send(body))
  return app
}

/** Bodies that are one file; other kinds are answered 415. */
const BODY_TYPES = [
  /^image\//,
  'application/octet-stream',
  'application/gzip',
  'application/x-gzip',
  'application/zip',
  'application/x-zip-compressed',
  'application/dicom',
]

/** The model that a request names; undefined where it names none, or several. */
function modelOf({ params, query }: FastifyRequest): string | undefined {
  const { name } = (params ?? {}) as { name?: string }
  const { model } = (query ?? {}) as { model?: unknown }
  return name ?? (typeof model === 'string' ? model : undefined)
}

/** What Node's HTTP parser refuses never becomes a request: the same answer is written to the connection. */
function answerMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const { status, code, message } =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? new HttpError(431, 'headers_too_large', 'The headers of the request are too large.')
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? tooLate()
        : new HttpError(400, 'malformed', 'This is no HTTP request.')
  const body: ServeError = { error: message, code, request_id: randomUUID() }
  const text = JSON.stringify(body)
  // A caller that never ends its side would otherwise keep what it holds.
  socket.once('finish', () => socket.destroy())
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/json; charset=utf-8\r\n` +
      `content-length: ${Buffer.byteLength(text)}\r\nx-request-id: ${body.request_id}\r\n` +
      `x-content-type-options: nosniff\r\ncache-control: no-store\r\nconnection: close\r\n\r\n${text}`,
  )
}

const tooLate = () => new HttpError(408, 'timeout', 'The request did not arrive in time.')

function startAnswer(request: FastifyRequest, reply: FastifyReply): void {
  request.note = {}
  reply.headers({
    'x-request-id': request.id,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
  })
}

function sendError(told: HttpError, request: FastifyRequest, reply: FastifyReply) {
  request.note.code = told.code
  const body: ServeError = { error: told.message, code: told.code, request_id: request.id }
  // What is left of a refused upload is not read: the connection cannot be used again.
  if ([408, 413, 503].includes(told.status)) reply.header('connection', 'close')
  return reply.code(told.status).headers(told.headers).send(body)
}

function notFound(request: FastifyRequest, app: FastifyInstance): HttpError {
  const path = request.url.split('?')[0]!
  const other = request.method === 'POST' ? 'GET' : 'POST'
  if (
    app.findRoute({ url: path, method: other }) !== null ||
    /^\/v1\/(predict|models\/[^/]+\/predict)$/.test(path)
  )
    return new HttpError(405, 'wrong_method', `This path takes ${other}.`, { allow: other })
  return new HttpError(404, 'not_found', 'No such path. GET /openapi.json lists what there is.')
}

function unknownModel(known: readonly string[]): HttpError {
  return new HttpError(404, 'unknown_model', `No such model. Served here: ${known.join(', ')}.`)
}

function logRecord(request: FastifyRequest, reply: FastifyReply): LogRecord {
  return {
    time: new Date().toISOString(),
    level: reply.statusCode >= 500 && reply.statusCode !== 503 ? 'error' : 'info',
    request_id: request.id,
    method: request.method,
    route: request.routeOptions.url ?? '(unknown path)',
    status: reply.statusCode,
    ms: Math.round(reply.elapsedTime * 10) / 10,
    ...request.note,
  }
}

/** An error's name and the places in the code it came through, without its message. */
function codePlace(error: unknown): string {
  if (!(error instanceof Error)) return 'not an Error'
  const places = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line))
  return [error.name, ...places.slice(0, 8).map((line) => line.trim())].join(' | ')
}
