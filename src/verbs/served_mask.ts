import { isRaster } from '../imaging/raster_volume.ts'
import { readMask } from '../imaging/read_mask.ts'
import type { Volume } from '../imaging/volume.ts'
import type { LoadedSegmenter } from '../package/load_segmenter.ts'
import { UserError } from '../schema/errors.ts'
import { PredictResult } from '../schema/results.ts'
import { buildApp } from '../serve/app.ts'

/**
 * The mask of one case through the HTTP server, without a port: its file as the body, or a form of its channels or
 * instances, as a client sends them, and the NIfTI or PNG that comes back.
 *
 * @throws {UserError} when the server could not segment it
 */
export async function servedMask(loaded: LoadedSegmenter, files: readonly Uint8Array[]): Promise<Volume> {
  const total = files.reduce((sum, file) => sum + file.length, 0)
  const app = await buildApp({
    models: new Map([[loaded.model.name, loaded]]),
    version: 'certificate',
    maxVolumeBytes: total + 10_000 * (files.length + 1),
    maxFiles: files.length,
    // What the serving machine's memory takes is not what is measured here.
    maxCaseBytes: Number.POSITIVE_INFINITY,
  })
  try {
    const response = await app.inject({ method: 'POST', url: '/v1/predict', ...(await upload(files)) })
    const result = PredictResult.safeParse(response.json()).data
    const [failed] = result?.failed ?? []
    const [made, ...others] = result?.predictions ?? []
    if (failed || made?.mask_base64 === undefined)
      throw new UserError(`The server could not segment a volume: ${failed?.reason ?? response.body}`)
    if (others.length > 0)
      throw new UserError(
        `The server took the ${files.length} files of one case for ${others.length + 1} cases.`,
      )
    return (await readMask(Buffer.from(made.mask_base64, 'base64'), null)).volume
  } finally {
    await app.close()
  }
}

async function upload(files: readonly Uint8Array[]) {
  const [first] = files
  if (files.length === 1)
    return { headers: { 'content-type': 'application/octet-stream' }, payload: asBuffer(first!) }
  const form = new FormData()
  const ending = isRaster(first!) ? 'png' : 'nii.gz'
  // Names tell channels apart; instances of a series are told by what they hold.
  for (const [i, bytes] of files.entries())
    form.append(
      'file',
      new Blob([bytes as Uint8Array<ArrayBuffer>]),
      `case_${String(i).padStart(4, '0')}.${ending}`,
    )
  const request = new Response(form)
  return {
    headers: { 'content-type': request.headers.get('content-type')! },
    payload: Buffer.from(await request.arrayBuffer()),
  }
}

const asBuffer = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
