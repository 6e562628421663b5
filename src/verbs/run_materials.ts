import { join } from 'node:path'
import type { StoredVoxels } from '../imaging/store_volume.ts'
import { chooseCertifiedCases, type ScoredCase } from '../package/certified_cases.ts'
import { storedCases } from '../prepare/shard_set.ts'
import { readStoredCase } from '../prepare/stored_volume.ts'
import type { ScoreRun } from '../runs/kinds.ts'
import { UserError } from '../schema/errors.ts'
import type { Evaluation } from '../schema/evaluation.ts'
import { parse } from '../schema/parse.ts'
import type { Prediction } from '../schema/prediction.ts'
import { Fingerprint, PART_CODES, type ShardIndex } from '../schema/shard_set.ts'
import { readTextIfExists } from '../storage/local.ts'
import { readSafetensors } from '../storage/safetensors.ts'
import { indexOfRun } from './run_set.ts'

/** What a finished run left behind for its package. */
export interface RunMaterials {
  index: ShardIndex
  fingerprint: Fingerprint | null
  evaluation: Evaluation
  /** A generator made the images. */
  isSynthetic: boolean
  /** Validation cases that the certificate checks. */
  cases: StoredCase[]
}

/** Predictions of the checkpoint on validation, and what was measured and fixed on them. */
export interface Validation {
  predictions: readonly Prediction[]
  evaluation: Evaluation
}

export interface StoredCase extends ScoredCase {
  file_sha256: string
  /** [C, H, W] or [C, Z, Y, X] */
  stored: StoredVoxels
}

/**
 * Reads what packaging needs of the run's shard set.
 *
 * @param validation the checkpoint's predictions on the validation split, and their evaluation
 * @param numCases most validation cases to check
 * @throws {UserError} when the shard set is gone or is another one now
 */
export async function readRunMaterials(
  run: ScoreRun,
  { predictions, evaluation }: Validation,
  numCases: number,
): Promise<RunMaterials> {
  const { data, task } = run.config
  const index = await indexOfRun(run, data.kind)
  const thresholds = task.labels.map((label) => evaluation.operating_points[label]?.threshold ?? null)
  const scored = predictions.map(({ case_id, scores }) => ({
    case_id,
    scores: task.labels.map((label) => scores[label]!),
  }))
  const chosen = chooseCertifiedCases(scored, thresholds, numCases)
  const fingerprintPath = join(data.shard_set, 'fingerprint.json')
  const fingerprint = await readTextIfExists(fingerprintPath)
  return {
    index,
    fingerprint: fingerprint === null ? null : parse(Fingerprint, JSON.parse(fingerprint), fingerprintPath),
    evaluation,
    isSynthetic: predictions.some((one) => one.attributes.synthetic === 'yes'),
    cases: await readStored(run, index, chosen),
  }
}

/** The shard rows of validation cases. */
async function readStored(
  { config: { data } }: ScoreRun,
  index: ShardIndex,
  chosen: readonly ScoredCase[],
): Promise<StoredCase[]> {
  const positions = await validationPositions(data, index)
  const cases: StoredCase[] = []
  for (const one of chosen) {
    const at = positions.get(one.case_id)
    if (!at)
      throw new UserError(
        `${one.case_id} has a validation prediction but is no validation case of the run's split.\n` +
          `  in: ${data.shard_set}\n  do: evaluate the run again, or train it again with --new.`,
      )
    const stored = await readStoredCase(data.shard_set, index, at)
    cases.push({ ...one, file_sha256: at.sha256, stored })
  }
  return cases
}

/** Validation cases of the split → where their stored tensor lies. */
async function validationPositions(
  data: ScoreRun['config']['data'],
  index: ShardIndex,
): Promise<Map<string, { file: string; row: number; sha256: string }>> {
  const split = join(data.shard_set, 'tables', `split-${data.split_id.slice(0, 12)}`, 'split.safetensors')
  const part = (await readSafetensors(split)).part!.data
  const stored = await storedCases(data.shard_set, index)
  const positions = new Map<string, { file: string; row: number; sha256: string }>()
  let n = 0
  for (const { file, num_cases } of index.shards)
    for (let row = 0; row < num_cases; row++, n++)
      if (part[n] === PART_CODES.val)
        positions.set(stored[n]!.case_id, { file, row, sha256: stored[n]!.sha256 })
  return positions
}
