import { join } from 'node:path'
import { evaluatePredictions } from '../evaluate/evaluate.ts'
import { settleEvents } from '../runs/events.ts'
import { RUN_FILES } from '../runs/folder.ts'
import { type ScoreRun, scoreRun } from '../runs/kinds.ts'
import { readRun } from '../runs/read.ts'
import type { SplitPart } from '../schema/case.ts'
import { mayShowPixels } from '../schema/data.ts'
import { UserError } from '../schema/errors.ts'
import type { Evaluation } from '../schema/evaluation.ts'
import type { Prediction } from '../schema/prediction.ts'
import type { EvaluateConfig } from '../schema/recipe.ts'
import { currentEvaluation } from './current_evaluation.ts'
import type { Evaluated, EvaluateOptions } from './evaluate.ts'
import { evaluateOverrides } from './evaluate_overrides.ts'
import { evaluatedUnits } from './evaluated_units.ts'
import type { Io } from './io.ts'
import { isSynthetic } from './is_synthetic.ts'
import { loadRecipe } from './load_recipe.ts'
import { reportImages, shardImages } from './report_images.ts'
import { leakWarnings, readSplit, validationWarnings } from './run_split.ts'
import { countTestOpenings, noteTestOpening } from './test_openings.ts'
import { readTestState } from './test_state.ts'
import {
  predictPart,
  readPredictions,
  readValPredictions,
  type StoredPredictions,
} from './val_predictions.ts'

/**
 * Evaluates a run's best checkpoint on one part of its split. Operating points are chosen on validation and applied
 * unchanged to any other part. Opening the test split is noted in the run before anything of it is seen.
 *
 * @throws {UserError} when the run has no validation predictions yet, or the part has no cases
 */
export async function evaluateRun(runDir: string, options: EvaluateOptions, io: Io): Promise<Evaluated> {
  const run = scoreRun(await readRun(runDir))
  const part = options.split
  if (part === 'all')
    throw new UserError(
      'A run is evaluated on one part of its split: --split val, test or train.\n' +
        '  do: for other data, evaluate its package with --data other.yaml --split all.',
    )
  const { recipe } = await loadRecipe(join(run.dir, RUN_FILES.recipe), evaluateOverrides(options.set ?? []))
  const config = { ...recipe.evaluate, ...(options.subgroups && { subgroups: options.subgroups }) }
  const split = await readSplit(run)
  const val = await readValPredictions(run, io)
  if (part !== 'val' && split && split.cases[part] === 0)
    throw new UserError(
      `The split of ${run.id} has no ${part} cases.\n  do: evaluate other data with the run's package and --data.`,
    )
  const known = [
    ...run.damage,
    ...leakWarnings(split),
    ...evaluatedUnits(recipe.data, val.predictions).warnings,
  ]
  const measure = ({ predictions, sha256 }: StoredPredictions, more: Partial<MeasureOptions>) => ({
    ...evaluatePredictions(evaluatedUnits(recipe.data, predictions).predictions, {
      ...measureOptions(run, config),
      warnings: known,
      ...more,
    }),
    computed_from: { predictions_sha256: sha256, evaluate: config },
  })
  const onVal = measure(val, {
    split: 'val',
    test_openings: await countTestOpenings(run.dir),
  })
  const other = part === 'val' ? null : await measureOther(run, part, onVal, measure, io)
  const test = await readTestState(
    run.dir,
    onVal.operating_points,
    part === 'test' && options.out === undefined ? other?.evaluation : undefined,
  )
  const validation: Evaluation = {
    ...onVal,
    test_openings: test.openings,
    warnings: [
      ...known,
      ...(test.stale === null ? [] : [test.stale]),
      ...validationWarnings(run, split, { isBest: true, test }),
      ...onVal.warnings.slice(known.length),
    ],
  }
  const mayShow = mayShowPixels(recipe.data)
  const load = mayShow ? await shardImages(run.config.data.shard_set, run.config.data.set_id) : null
  if (mayShow && load === null)
    io.log(`The shard set ${run.config.data.shard_set} is gone: the report shows no images.`)
  async function evaluatedOn(predictions: readonly Prediction[], evaluation: Evaluation): Promise<Evaluated> {
    const suffix = evaluation.split === 'val' ? '' : `-${evaluation.split}`
    return {
      evaluation,
      report: {
        title: run.id,
        events: settleEvents(run.events),
        run: run.config,
        images:
          load === null
            ? []
            : await reportImages(evaluatedUnits(recipe.data, predictions).predictions, evaluation, load),
        synthetic: isSynthetic(recipe, predictions),
        ...(evaluation.split === 'val' && test.report !== null && { testReport: RUN_FILES.testReport }),
      },
      dir: run.dir,
      files: { evaluation: `evaluation${suffix}.json`, report: `report${suffix}.html` },
    }
  }
  if (other === null) return evaluatedOn(val.predictions, validation)
  const result = await evaluatedOn(other.predictions, other.evaluation)
  // What validation's files say of the test split is of before this opening.
  const isOfSameSettings = (await currentEvaluation(run.dir, validation.computed_from!)) !== null
  return part === 'test' && isOfSameSettings
    ? { ...result, beside: await evaluatedOn(val.predictions, validation) }
    : result
}

type MeasureOptions = Parameters<typeof evaluatePredictions>[1]

function measureOptions(run: ScoreRun, config: EvaluateConfig) {
  const { operating_point: rule, bootstrap, confidence, seed, subgroups } = config
  return {
    task: run.config.task,
    source: run.id,
    split: 'val' as Evaluation['split'],
    rule,
    chosen_on: 'val',
    bootstrap,
    confidence,
    seed,
    subgroups,
    test_openings: 0,
  }
}

async function measureOther(
  run: ScoreRun,
  part: Exclude<SplitPart, 'val'>,
  onVal: Evaluation,
  measure: (stored: StoredPredictions, more: Partial<MeasureOptions>) => Evaluation,
  io: Io,
) {
  const step = run.best?.step ?? null
  const test_openings =
    part === 'test'
      ? await noteTestOpening(run.dir, { time: io.now().toISOString(), step })
      : onVal.test_openings
  if (part === 'test')
    io.log(
      test_openings === 1
        ? 'Opening the test split, for the first time.'
        : `Opening the test split, for the ${ordinal(test_openings)} time: each look weakens it as evidence.`,
    )
  const out = join(run.dir, RUN_FILES.predictions, `${part}.jsonl`)
  await predictPart(run, part, out, io)
  const stored = await readPredictions(out)
  if (stored === null) throw new Error(`the engine wrote no ${out}`)
  const { operating_points } = onVal
  const evaluation = measure(stored, { split: part, operating_points, test_openings })
  return { predictions: stored.predictions, evaluation }
}

function ordinal(n: number): string {
  const ending = n % 100 >= 11 && n % 100 <= 13 ? 'th' : (['th', 'st', 'nd', 'rd'][n % 10] ?? 'th')
  return `${n}${ending}`
}
