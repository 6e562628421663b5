import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { readLines } from '../prepare/staging.ts'
import { RUN_FILES } from '../runs/folder.ts'
import type { SegmentRun } from '../runs/kinds.ts'
import type { Evaluation } from '../schema/evaluation.ts'
import type { SegmentEvaluation } from '../schema/evaluation_segment.ts'
import { SegmentPrediction } from '../schema/prediction.ts'
import type { EvaluateConfig } from '../schema/recipe.ts'
import { readTextIfExists, sha256, sha256File } from '../storage/local.ts'
import { readEvaluation } from './read_evaluation.ts'
import { readSegmentEvaluation } from './read_segment_evaluation.ts'

/**
 * The run's evaluation on validation, if it was computed from just these predictions with just these settings, and
 * its report is there; else null.
 */
export async function currentEvaluation(
  runDir: string,
  from: NonNullable<Evaluation['computed_from']>,
): Promise<Evaluation | null> {
  const path = join(runDir, RUN_FILES.evaluation)
  const [written, report] = [await modified(path), await modified(join(runDir, RUN_FILES.report))]
  if (written === null || report === null || report < written) return null
  const evaluation = await readEvaluation(path)
  return evaluation !== null && isDeepStrictEqual(evaluation.computed_from, from) ? evaluation : null
}

/** The same of masks, whose every file must be as it was written. */
export async function currentSegmentEvaluation(
  run: SegmentRun,
  evaluate: EvaluateConfig,
): Promise<SegmentEvaluation | null> {
  const path = join(run.dir, RUN_FILES.evaluation)
  const [written, report] = [await modified(path), await modified(join(run.dir, RUN_FILES.report))]
  if (written === null || report === null || report < written) return null
  const predictions = join(run.dir, RUN_FILES.predictions)
  const text = await readTextIfExists(join(predictions, 'val.jsonl'))
  const evaluation = await readSegmentEvaluation(path)
  if (text === null || evaluation === null) return null
  const from = { predictions_sha256: sha256(text), evaluate }
  if (!isDeepStrictEqual(evaluation.computed_from, from)) return null
  const lines = (await readLines(join(predictions, 'val.jsonl'), SegmentPrediction)) ?? []
  for (const { mask, mask_sha256 } of lines)
    if ((await sha256File(join(predictions, mask)).catch(() => null)) !== mask_sha256) return null
  return evaluation
}

async function modified(path: string): Promise<number | null> {
  return stat(path).then(
    (s) => s.mtimeMs,
    () => null,
  )
}
