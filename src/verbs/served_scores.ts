import type { LoadedPackage } from '../package/load.ts'
import { UserError } from '../schema/errors.ts'
import { PredictResult } from '../schema/results.ts'
import { buildApp } from '../serve/app.ts'

/**
 * Scores [N][L] of cases through the HTTP server, without a port: a form with all their files in one request, as a
 * client sends it, and the JSON that comes back. Of volumes one case at a time, its files named as its channels are.
 *
 * @throws {UserError} when the server could not score a case
 */
export async function servedScores(
  loaded: LoadedPackage,
  cases: readonly (readonly Uint8Array[])[],
): Promise<number[][]> {
  const files = cases.flat()
  const total = files.reduce((sum, file) => sum + file.length, 0)
  const maxBodyBytes = total + 10_000 * (files.length + 1)
  const app = await buildApp({
    models: new Map([[loaded.model.name, loaded]]),
    version: 'certificate',
    maxBodyBytes,
    maxVolumeBytes: maxBodyBytes,
    maxCaseBytes: Number.POSITIVE_INFINITY,
    maxFiles: files.length,
  })
  try {
    const form = new FormData()
    const isOfVolumes = loaded.model.preprocess.kind === 'volume'
    for (const [i, bytes] of files.entries())
      form.append(
        'file',
        new Blob([new Uint8Array(bytes)]),
        isOfVolumes && files.length > 1 ? `case_${String(i).padStart(4, '0')}.nii.gz` : `${i}`,
      )
    const request = new Response(form)
    const response = await app.inject({
      method: 'POST',
      url: '/v1/predict',
      headers: { 'content-type': request.headers.get('content-type')! },
      payload: Buffer.from(await request.arrayBuffer()),
    })
    const result = PredictResult.safeParse(response.json()).data
    const [failed] = result?.failed ?? []
    if (!result || failed)
      throw new UserError(`The server could not score a case: ${failed?.reason ?? response.body}`)
    return result.predictions.map(({ scores }) => loaded.model.task.labels.map((label) => scores[label]!))
  } finally {
    await app.close()
  }
}
