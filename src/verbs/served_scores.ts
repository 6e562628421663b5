import type { LoadedPackage } from '../package/load.ts'
import { UserError } from '../schema/errors.ts'
import { channelNames, postFiles } from './post_files.ts'

/**
 * Scores [N][L] of cases through the HTTP server: a form with all their files in one request, and the JSON that comes
 * back. Of volumes one case at a time, its files named as its channels are.
 *
 * @throws {UserError} when the server could not score a case
 */
export async function servedScores(
  loaded: LoadedPackage,
  cases: readonly (readonly Uint8Array[])[],
): Promise<number[][]> {
  const files = cases.flat()
  const areChannels = loaded.model.preprocess.kind === 'volume' && files.length > 1
  const names = areChannels ? channelNames(files, 'nii.gz') : files.map((_, i) => `${i}`)
  const { predictions, problem } = await postFiles(loaded, { files, names })
  if (problem !== null) throw new UserError(`The server could not score a case: ${problem}`)
  return predictions.map(({ scores }) => loaded.model.task.labels.map((label) => scores[label]!))
}
