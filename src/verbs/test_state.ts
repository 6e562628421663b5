import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { RUN_FILES } from '../runs/folder.ts'
import type { Evaluation } from '../schema/evaluation.ts'
import { readEvaluation } from './read_evaluation.ts'
import { testOpenings } from './test_openings.ts'

/** What a run's folder says about its test split. */
export interface TestState {
  openings: number
  /** ISO 8601; null while it is closed. */
  last_opened: string | null
  /** The report of the last measurement, if it is there. */
  report: string | null
  /** Why the numbers in evaluation-test.json are not those of the run's operating points; else null. */
  stale: string | null
}

/**
 * The openings of the test split, and whether what was measured there is of the operating points that hold now. Numbers
 * that are not are named and left: measuring again is another opening, which is for the user to ask.
 *
 * @param points of the evaluation on validation
 * @param measured the evaluation on test when it has just been made; else that of the folder
 */
export async function readTestState(
  runDir: string,
  points: Evaluation['operating_points'],
  measured?: Evaluation,
): Promise<TestState> {
  const openings = await testOpenings(runDir)
  const report = join(runDir, RUN_FILES.testReport)
  const test = measured ?? (await readTestEvaluation(runDir))
  return {
    openings: openings.length,
    last_opened: openings.at(-1)?.time ?? null,
    report: measured || (await exists(report)) ? report : null,
    stale: test === null ? null : staleReason(points, test.operating_points),
  }
}

/** The run's own evaluation on validation against that on test; null where either is not there. */
export async function staleTest(runDir: string): Promise<string | null> {
  const val = await readEvaluation(join(runDir, RUN_FILES.evaluation))
  return val === null ? null : (await readTestState(runDir, val.operating_points)).stale
}

const readTestEvaluation = (runDir: string) => readEvaluation(join(runDir, RUN_FILES.testEvaluation))

function staleReason(
  now: Evaluation['operating_points'],
  then: Evaluation['operating_points'],
): string | null {
  const labels = [...new Set([...Object.keys(now), ...Object.keys(then)])]
  const moved = labels.filter((label) => now[label]?.threshold !== then[label]?.threshold)
  if (moved.length === 0) return null
  const shown = (point: Evaluation['operating_points'][string] | undefined) =>
    point?.threshold.toPrecision(4) ?? 'none'
  const thresholds = moved
    .slice(0, 3)
    .map((label) => `${label} ${shown(then[label])} then, ${shown(now[label])} now`)
  const more = moved.length > 3 ? ` and ${moved.length - 3} more labels` : ''
  return (
    `The numbers on the test split are of other thresholds (${thresholds.join('; ')}${more}): ` +
    `${RUN_FILES.testEvaluation} and ${RUN_FILES.testReport} were kept. ` +
    '"fiducial evaluate <run> --split test" measures again, which counts as another opening.'
  )
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
