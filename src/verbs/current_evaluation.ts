import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { RUN_FILES } from '../runs/folder.ts'
import type { Evaluation } from '../schema/evaluation.ts'
import { readEvaluation } from './read_evaluation.ts'

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

async function modified(path: string): Promise<number | null> {
  return stat(path).then(
    (s) => s.mtimeMs,
    () => null,
  )
}
