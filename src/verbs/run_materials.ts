import { join } from 'node:path'
import { chooseCertifiedCases, type ScoredCase } from '../package/certified_cases.ts'
import { storedCases } from '../prepare/shard_set.ts'
import type { ImageRun } from '../runs/kinds.ts'
import { UserError } from '../schema/errors.ts'
import type { Evaluation } from '../schema/evaluation.ts'
import { parse } from '../schema/parse.ts'
import type { Prediction } from '../schema/prediction.ts'
import { ImageFingerprint, type ImageShardIndex, PART_CODES } from '../schema/shard_set.ts'
import { readTextIfExists } from '../storage/local.ts'
import { readRows, readSafetensors } from '../storage/safetensors.ts'
import { indexOfRun } from './run_set.ts'

/** What a finished run left behind for its package. */
export interface RunMaterials {
  index: ImageShardIndex
  fingerprint: ImageFingerprint | null
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
  /** [C, H, W] */
  stored: Uint8Array | Int16Array
}

/**
 * Reads what packaging needs of the run's shard set.
 *
 * @param validation the checkpoint's predictions on the validation split, and their evaluation
 * @param numCases most validation cases to check
 * @throws {UserError} when the shard set is gone or is another one now
 */
export async function readRunMaterials(
  run: ImageRun,
  { predictions, evaluation }: Validation,
  numCases: number,
): Promise<RunMaterials> {
  const { data, task } = run.config
  const index = await indexOfRun(run, 'images')
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
    fingerprint:
      fingerprint === null ? null : parse(ImageFingerprint, JSON.parse(fingerprint), fingerprintPath),
    evaluation,
    isSynthetic: predictions.some((one) => one.attributes.synthetic === 'yes'),
    cases: await readStored(run, index, chosen),
  }
}

/** The shard rows of validation cases. */
async function readStored(
  { config: { data } }: ImageRun,
  index: ImageShardIndex,
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
    const { data: stored } = await readRows(join(data.shard_set, at.file), 'image', at.row, 1)
    cases.push({ ...one, file_sha256: at.sha256, stored: stored as Uint8Array | Int16Array })
  }
  return cases
}

/** Validation cases of the split → where their stored tensor lies. */
async function validationPositions(
  data: ImageRun['config']['data'],
  index: ImageShardIndex,
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
