import { join } from 'node:path'
import { isSegmentPackage, readAnyManifest } from '../package/read.ts'
import { type ReportInput, renderReport } from '../report/report.ts'
import { isSegmentRun } from '../runs/kinds.ts'
import { readRun } from '../runs/read.ts'
import { Evaluation } from '../schema/evaluation.ts'
import type { SegmentEvaluation } from '../schema/evaluation_segment.ts'
import type { DryRunResult } from '../schema/results.ts'
import { writeAtomic } from '../storage/local.ts'
import type { PredictionFiles } from './evaluate_tables.ts'
import type { Io } from './io.ts'
import type { LoadedRecipe } from './load_recipe.ts'
import { readPredictionTables } from './prediction_tables.ts'
import { countTestOpenings } from './test_openings.ts'

export interface EvaluateOptions {
  /** Part of a run's split, or of a recipe's; `all` for external data and others' predictions. */
  split: Evaluation['split']
  /** Attributes whose groups get metrics of their own, instead of the recipe's `evaluate.subgroups`. */
  subgroups?: string[]
  /** `evaluate.…=value` overrides. */
  set?: readonly string[]
  /** Folder for evaluation.json and report.html; a run's own go into the run. */
  out?: string
  /** Use a package without a passing certificate. */
  allowFailed?: boolean
}

export type EvaluateTarget = { run: string } | { package: string; data: LoadedRecipe } | PredictionFiles

/** What a kind of target gives: the evaluation, what its report shows besides, and where both go. */
export interface Evaluated {
  evaluation: Evaluation
  report: Omit<ReportInput, 'evaluation'>
  /** The target's own folder, unless it has none. */
  dir: string | null
  files: { evaluation: string; report: string }
  /** Files of the target's own folder that this evaluation changes, written without a word. */
  beside?: Evaluated
}

/**
 * Metrics with intervals, operating points, subgroups and a report, for a run, a package on a recipe's data, or others'
 * predictions. A run's files are written into it (`evaluation.json` and `report.html` for validation,
 * `evaluation-test.json` and `report-test.html` for test); others only into `out`.
 *
 * ```ts
 * const { per_label } = await evaluate({ predictions: 'p.csv', labels: 'l.csv' }, { split: 'all' })
 * ```
 * @throws {UserError} for what the user can mend
 */
export async function evaluate(
  target: EvaluateTarget,
  options: EvaluateOptions,
  io: Io,
): Promise<Evaluation | SegmentEvaluation> {
  if ('package' in target && isSegmentPackage((await readAnyManifest(target.package)).model))
    return (await import('./evaluate_segment_package.ts')).evaluateSegmentPackage(
      target.package,
      target.data,
      options,
      io,
    )
  if (!('run' in target)) return evaluateScores(target, options, io)
  const run = await readRun(target.run)
  if (!isSegmentRun(run)) return evaluateScores(target, options, io)
  return (await import('./evaluate_segment_run.ts')).evaluateSegmentRun(run, options, io)
}

/** The same of whatever has scores and no masks. */
export async function evaluateScores(
  target: EvaluateTarget,
  options: EvaluateOptions,
  io: Io,
): Promise<Evaluation> {
  const { beside, ...made } = await evaluated(target, options, io)
  const { evaluation, dir, files } = made
  Evaluation.parse(evaluation)
  const out = options.out ?? dir
  if (out !== null) {
    await writeInto(out, made)
    io.log(`wrote ${join(out, files.evaluation)} and ${files.report}`)
  }
  if (beside !== undefined) await writeInto(beside.dir!, beside)
  return evaluation
}

async function writeInto(dir: string, { evaluation, report, files }: Evaluated): Promise<void> {
  await writeAtomic(join(dir, files.evaluation), `${JSON.stringify(evaluation, null, 2)}\n`)
  // The report last: whoever finds it newer than the evaluation knows that both are whole.
  await writeAtomic(join(dir, files.report), renderReport({ ...report, evaluation }))
}

/**
 * What `evaluate` would do: nothing is written, started or opened.
 *
 * @throws {UserError} when the run, package or tables are not there
 */
export async function planEvaluation(
  target: EvaluateTarget,
  options: EvaluateOptions,
): Promise<DryRunResult> {
  const would: string[] = []
  if ('run' in target) {
    const run = await readRun(target.run)
    const openings = await countTestOpenings(run.dir)
    if (options.split === 'test')
      would.push(
        `open the test split of ${run.id}, opened ${openings} ${openings === 1 ? 'time' : 'times'} so far, and score it with Python`,
      )
    else would.push(`evaluate the ${options.split} split of ${run.id}`)
  } else if ('package' in target) {
    const { model } = await readAnyManifest(target.package)
    const verb = isSegmentPackage(model) ? 'segment' : 'score'
    would.push(`${verb} ${options.split} cases of ${target.data.recipe.name} with the package ${model.name}`)
  } else {
    const { predictions, labels } = await readPredictionTables(target.predictions, target.labels)
    would.push(`evaluate ${predictions.length} predictions of ${labels.join(', ')}`)
  }
  const out = options.out ?? ('run' in target ? target.run : null)
  would.push(
    out === null ? 'print the result and write nothing' : `write the evaluation and a report into ${out}`,
  )
  return { dry_run: true, would }
}

/** The kind's module is loaded when it is needed: others' predictions start without Python, ONNX or sharp. */
async function evaluated(target: EvaluateTarget, options: EvaluateOptions, io: Io): Promise<Evaluated> {
  if ('run' in target) return (await import('./evaluate_run.ts')).evaluateRun(target.run, options, io)
  if ('package' in target)
    return (await import('./evaluate_package.ts')).evaluatePackage(target.package, target.data, options, io)
  return (await import('./evaluate_tables.ts')).evaluateTables(target, options, io)
}
