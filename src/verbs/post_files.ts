import { PredictResult } from '../schema/results.ts'
import { buildApp, type Served } from '../serve/app.ts'

/** Files of one request. */
export interface PostedFiles {
  files: readonly Uint8Array[]
  /** Of each file, in a form; null sends the one file as the body. */
  names: readonly string[] | null
}

/**
 * What the HTTP server of a model answers, without a port: files as a client sends them, and the JSON that comes back.
 *
 * @returns the answer, and what is wrong with it: a file that failed, or an answer that is no result; null where nothing is
 */
export async function postFiles(
  loaded: Served,
  { files, names }: PostedFiles,
): Promise<{ predictions: PredictResult['predictions']; problem: string | null }> {
  const maxBytes = files.reduce((sum, file) => sum + file.length, 0) + 10_000 * (files.length + 1)
  const app = await buildApp({
    models: new Map([[loaded.model.name, loaded]]),
    version: 'certificate',
    maxBodyBytes: maxBytes,
    maxVolumeBytes: maxBytes,
    maxFiles: files.length,
    // What the serving machine's memory takes is not what is measured here.
    maxCaseBytes: Number.POSITIVE_INFINITY,
  })
  try {
    const upload = names === null ? asBody(files[0]!) : await asForm(files, names)
    const response = await app.inject({ method: 'POST', url: '/v1/predict', ...upload })
    const result = PredictResult.safeParse(response.json()).data
    const [failed] = result?.failed ?? []
    return {
      predictions: result?.predictions ?? [],
      problem: failed?.reason ?? (result === undefined ? response.body : null),
    }
  } finally {
    await app.close()
  }
}

/** Names tell channels apart; instances of a series are told by what they hold. */
export const channelNames = (files: readonly Uint8Array[], ending: string): string[] =>
  files.map((_, i) => `case_${String(i).padStart(4, '0')}.${ending}`)

function asBody(bytes: Uint8Array) {
  return {
    headers: { 'content-type': 'application/octet-stream' },
    payload: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
  }
}

async function asForm(files: readonly Uint8Array[], names: readonly string[]) {
  const form = new FormData()
  for (const [i, bytes] of files.entries())
    form.append('file', new Blob([bytes as Uint8Array<ArrayBuffer>]), names[i])
  const request = new Response(form)
  return {
    headers: { 'content-type': request.headers.get('content-type')! },
    payload: Buffer.from(await request.arrayBuffer()),
  }
}
