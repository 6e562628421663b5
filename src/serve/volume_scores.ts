import { predictFiles } from '../package/predict_files.ts'
import { refuseScoringBeyondMemory } from '../package/segment_memory.ts'
import { UserError } from '../schema/errors.ts'
import type { VolumeSpec } from '../schema/preprocess.ts'
import type { PredictResult } from '../schema/results.ts'
import type { ServedScorer } from './app.ts'
import type { Upload } from './uploads.ts'
import { volumeUploads } from './volume_uploads.ts'
import type { VolumeLimits } from './volumes.ts'

/**
 * Scores the volumes that a request brings, one after the other: as `predict` does, and only what fits into memory.
 *
 * @param isGone whoever asked has hung up
 */
export async function scoreVolumes(
  uploads: readonly Upload[],
  served: ServedScorer,
  { zip, caseBytes }: VolumeLimits,
  isGone: () => boolean,
): Promise<PredictResult> {
  const preprocess = served.model.preprocess as VolumeSpec
  const { cases, failed } = isGone()
    ? { cases: [], failed: [] }
    : await volumeUploads(uploads, preprocess, zip)
  const result: PredictResult = { predictions: [], failed, package_digest: served.digest }
  for (const { name, case_id, files } of cases) {
    if (isGone()) break
    const refused = await refuseScoringBeyondMemory(files, preprocess, caseBytes).catch((cause) => {
      if (cause instanceof UserError) return cause
      throw cause
    })
    if (refused) result.failed.push({ file: name, reason: refused.message })
    else
      for await (const one of predictFiles([{ name, case_id, read: async () => files }], served))
        if ('reason' in one) result.failed.push(one)
        else result.predictions.push(one)
  }
  return result
}
