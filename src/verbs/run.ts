import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { certificateProblem, isSegmentPackage, readAnyPackage } from '../package/read.ts'
import { describeUnlearnable } from '../prepare/learnable.ts'
import { findPython } from '../python/environment.ts'
import { RUN_FILES, runsFolder } from '../runs/folder.ts'
import { isSegmentRun } from '../runs/kinds.ts'
import { resolveModel } from '../runs/model.ts'
import { readRun } from '../runs/read.ts'
import type { Evaluation } from '../schema/evaluation.ts'
import type { SegmentEvaluation } from '../schema/evaluation_segment.ts'
import type { Recipe } from '../schema/recipe.ts'
import type { PackageResult, RunResult, TrainResult } from '../schema/results.ts'
import { currentEvaluation, currentSegmentEvaluation } from './current_evaluation.ts'
import { evaluate } from './evaluate.ts'
import { refuseSharedPatients } from './given_split.ts'
import type { Io } from './io.ts'
import type { LoadedRecipe } from './load_recipe.ts'
import { packageRun } from './package.ts'
import { packageResult } from './package_result.ts'
import { prepare } from './prepare.ts'
import { readTestState } from './test_state.ts'
import { type TrainOptions, trainPrepared } from './train.ts'
import { readValPredictions } from './val_predictions.ts'

/**
 * prepare → train → evaluate on validation → package. Each stage whose output is complete and current is skipped, so
 * the same command resumes after a stop at any point.
 *
 * @throws as the verbs it is made of
 */
export async function run(loaded: LoadedRecipe, options: TrainOptions, io: Io): Promise<RunResult> {
  await findPython()
  const model = await resolveModel(loaded.recipe.model, loaded.dir)
  await refuseSharedPatients(loaded, io.signal)
  const stages: RunResult['stages'] = []
  const started = performance.now()

  async function stage<T>(
    name: RunResult['stages'][number]['stage'],
    work: () => Promise<{ value: T; skipped: boolean }>,
  ): Promise<T> {
    const before = performance.now()
    io.log(`[${stages.length + 1}/4] ${name}`)
    const { value, skipped } = await work()
    const seconds = (performance.now() - before) / 1000
    stages.push({ stage: name, skipped, seconds })
    if (skipped) io.log('      done before')
    return value
  }

  const prepared = await stage('prepare', async () => {
    const value = await prepare(loaded, { workers: options.workers, out: options.out }, io)
    return { value, skipped: value.result.reused }
  })
  const trained = await stage('train', async () => {
    const where = { ...options, parent: options.parent ?? runsFolder(), reuseFinished: true }
    const value = await trainPrepared(loaded, prepared, model, where, io)
    return { value: value.result, skipped: value.wasFinished }
  })
  const evaluation = await stage('evaluate', () =>
    reuse<Evaluation | SegmentEvaluation>(
      async () => {
        const run = await readRun(trained.run_dir)
        if (isSegmentRun(run)) return currentSegmentEvaluation(run, loaded.recipe.evaluate)
        const { sha256 } = await readValPredictions(run, io)
        const from = { predictions_sha256: sha256, evaluate: loaded.recipe.evaluate }
        return currentEvaluation(trained.run_dir, from)
      },
      () => evaluate({ run: trained.run_dir }, { split: 'val' }, io),
    ),
  )
  const packaged = await stage('package', () =>
    reuse(
      () => currentPackage(trained, loaded.recipe, evaluation),
      () => packageRun(trained.run_dir, { data: loaded }, io),
    ),
  )
  const unlearnable = describeUnlearnable(prepared.unlearnable)
  if (unlearnable !== null) io.log(`warning: ${unlearnable}`)
  return {
    run_dir: trained.run_dir,
    stages,
    prepare: prepared.result,
    train: trained,
    evaluate: evaluation,
    test_split: {
      cases: prepared.split.cases.test,
      ...('operating_points' in evaluation
        ? await readTestState(trained.run_dir, evaluation.operating_points)
        : await readTestState(trained.run_dir, {})),
    },
    package: packaged,
    package_dir: packaged.package_dir,
    report: join(trained.run_dir, RUN_FILES.report),
    synthetic: prepared.synthetic,
    seconds: (performance.now() - started) / 1000,
  }
}

async function reuse<T>(
  current: () => Promise<T | null>,
  work: () => Promise<T>,
): Promise<{ value: T; skipped: boolean }> {
  const value = await current()
  return value === null ? { value: await work(), skipped: false } : { value, skipped: true }
}

/**
 * The run's package, if it is whole, was made by these keys of the recipe from the run's checkpoint and the operating
 * points of its evaluation, and its certificate passed.
 */
async function currentPackage(
  trained: TrainResult,
  recipe: Recipe,
  evaluation: Evaluation | SegmentEvaluation,
): Promise<PackageResult | null> {
  const { checkpoint } = recipe.package
  const run = await readRun(trained.run_dir)
  const dir = join(run.dir, RUN_FILES.package)
  // What cannot be read is made again.
  const found = await readAnyPackage(dir).catch(() => null)
  if (found === null || found.certificate === null || found.damage.length > 0) return null
  if (certificateProblem(found) !== null || found.model.provenance.step !== run[checkpoint]?.step) return null
  const madeBy = found.model.provenance.recipe as Partial<Recipe> | null
  if (!isDeepStrictEqual([madeBy?.evaluate, madeBy?.package], [recipe.evaluate, recipe.package])) return null
  // The latest checkpoint has operating points of its own, unless it is the best.
  const isEvaluated = run[checkpoint]?.step === run.best?.step
  const { model } = found
  const isSame = isSegmentPackage(model)
    ? 'inference' in evaluation && isDeepStrictEqual(model.inference, evaluation.inference)
    : 'operating_points' in evaluation &&
      isDeepStrictEqual(model.operating_points, evaluation.operating_points)
  if (isEvaluated && !isSame) return null
  return packageResult(dir, found.certificate)
}
