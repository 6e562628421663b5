import { join } from 'node:path'
import { evaluatePredictions } from '../evaluate/evaluate.ts'
import { runEngine } from '../python/engine.ts'
import type { ScoreRun } from '../runs/kinds.ts'
import type { EvaluateConfig } from '../schema/recipe.ts'
import { currentEvaluation } from './current_evaluation.ts'
import { evaluateScores } from './evaluate.ts'
import { withTemporaryFolder } from './export_run.ts'
import type { Io } from './io.ts'
import type { Validation } from './run_materials.ts'
import { leakWarnings, readSplit, validationWarnings } from './run_split.ts'
import { readPredictions, readValPredictions } from './val_predictions.ts'

/**
 * The checkpoint's predictions on validation and their evaluation. Those of the best checkpoint lie in the run; for
 * another one they are made, and thresholds chosen on them.
 *
 * @param set the `evaluate.…=value` overrides that `config` holds
 */
export async function validationOf(
  run: ScoreRun,
  step: number,
  config: EvaluateConfig,
  set: readonly string[],
  engine: readonly string[],
  io: Io,
): Promise<Validation> {
  if (step === run.best?.step) {
    const { predictions, sha256 } = await readValPredictions(run, io)
    const from = { predictions_sha256: sha256, evaluate: config }
    const current = await currentEvaluation(run.dir, from)
    return {
      predictions,
      evaluation: current ?? (await evaluateScores({ run: run.dir }, { split: 'val', set }, io)),
    }
  }
  return withTemporaryFolder(async (dir) => {
    const out = join(dir, 'val.jsonl')
    io.log(`Predicting the validation split with step ${step}`)
    await runEngine('predict', [...engine, '--part', 'val', '--out', out], {
      signal: io.signal,
      onLog: io.log,
    })
    const predictions = (await readPredictions(out))?.predictions ?? []
    const split = await readSplit(run)
    const evaluation = evaluatePredictions(predictions, {
      ...config,
      task: run.config.task,
      source: `${run.id}, step ${step}`,
      split: 'val',
      rule: config.operating_point,
      chosen_on: 'val',
      test_openings: 0,
      warnings: [...leakWarnings(split), ...validationWarnings(run, split, { isBest: false, test: null })],
    })
    return { predictions, evaluation }
  })
}
