import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { evaluatePredictions } from '../evaluate/evaluate.ts'
import { readLines } from '../prepare/staging.ts'
import { runEngine } from '../python/engine.ts'
import { RUN_FILES } from '../runs/folder.ts'
import type { RunRecord } from '../runs/read.ts'
import { UserError } from '../schema/errors.ts'
import { Evaluation } from '../schema/evaluation.ts'
import { parse } from '../schema/parse.ts'
import { Prediction } from '../schema/prediction.ts'
import type { EvaluateConfig } from '../schema/recipe.ts'
import { readTextIfExists } from '../storage/local.ts'
import { evaluate } from './evaluate.ts'
import type { Io } from './io.ts'
import { withTemporaryFolder } from './reference_logits.ts'
import type { Validation } from './run_materials.ts'
import { leakWarnings, readSplit, validationWarnings } from './run_split.ts'

/**
 * The checkpoint's predictions on validation and their evaluation. Those of the best checkpoint lie in the run; for
 * another one they are made, and thresholds chosen on them.
 */
export async function validationOf(
  run: RunRecord,
  step: number,
  config: EvaluateConfig,
  engine: readonly string[],
  io: Io,
): Promise<Validation> {
  const path = join(run.dir, RUN_FILES.valPredictions)
  if (step === run.best?.step) {
    const predictions = await readLines(path, Prediction, 'train the run again with --new.')
    if (predictions === null)
      throw new UserError(
        `${run.dir} has no validation predictions: its training has not finished (${run.status}).\n` +
          '  do: "fiducial train" resumes it.',
      )
    return { predictions, evaluation: await currentEvaluation(run, io) }
  }
  return withTemporaryFolder(async (dir) => {
    const out = join(dir, 'val.jsonl')
    io.log(`Predicting the validation split with step ${step}`)
    await runEngine('predict', [...engine, '--part', 'val', '--out', out], {
      signal: io.signal,
      onLog: io.log,
    })
    const predictions = (await readLines(out, Prediction, 'run the same command again.')) ?? []
    const split = await readSplit(run)
    const evaluation = evaluatePredictions(predictions, {
      ...config,
      task: run.config.task,
      source: `${run.id}, step ${step}`,
      split: 'val',
      rule: config.operating_point,
      chosen_on: 'val',
      test_openings: 0,
      warnings: [...leakWarnings(split), ...validationWarnings(run, split, { isBest: false })],
    })
    return { predictions, evaluation }
  })
}

/** evaluation.json, made again when it is missing or older than the predictions. */
async function currentEvaluation(run: RunRecord, io: Io): Promise<Evaluation> {
  const path = join(run.dir, RUN_FILES.evaluation)
  const text = await readTextIfExists(path)
  if (text !== null) {
    const [evaluated, predicted] = await Promise.all([
      stat(path),
      stat(join(run.dir, RUN_FILES.valPredictions)),
    ])
    if (evaluated.mtimeMs >= predicted.mtimeMs) return parse(Evaluation, JSON.parse(text), path)
  }
  return evaluate({ run: run.dir }, { split: 'val' }, io)
}
