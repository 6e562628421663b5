import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { certificateProblem, readPackage } from '../package/read.ts'
import { describeUnlearnable } from '../prepare/learnable.ts'
import { findPython } from '../python/environment.ts'
import { RUN_FILES, runsFolder } from '../runs/folder.ts'
import { resolveModel } from '../runs/model.ts'
import { readRun } from '../runs/read.ts'
import { Evaluation } from '../schema/evaluation.ts'
import type { PackageResult, RunResult, TrainResult } from '../schema/results.ts'
import { readTextIfExists } from '../storage/local.ts'
import { evaluate } from './evaluate.ts'
import type { Io } from './io.ts'
import type { LoadedRecipe } from './load_recipe.ts'
import { packageRun } from './package.ts'
import { packageResult } from './package_result.ts'
import { prepare } from './prepare.ts'
import { type TrainOptions, trainPrepared } from './train.ts'

/**
 * prepare → train → evaluate on validation → package. Each stage whose output is complete and current is skipped, so
 * the same command resumes after a stop at any point.
 *
 * @throws as the verbs it is made of
 */
export async function run(loaded: LoadedRecipe, options: TrainOptions, io: Io): Promise<RunResult> {
  await findPython()
  const model = await resolveModel(loaded.recipe.model, loaded.dir)
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
    reuse(
      () => currentEvaluation(trained.run_dir),
      () => evaluate({ run: trained.run_dir }, { split: 'val' }, io),
    ),
  )
  const packaged = await stage('package', () =>
    reuse(
      () => currentPackage(trained, loaded.recipe.package.checkpoint, evaluation),
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

/** The evaluation of the run's validation predictions, if it and its report were written after them. */
async function currentEvaluation(runDir: string): Promise<Evaluation | null> {
  const predictions = await modified(join(runDir, RUN_FILES.valPredictions))
  const report = await modified(join(runDir, RUN_FILES.report))
  const path = join(runDir, RUN_FILES.evaluation)
  const written = await modified(path)
  if (predictions === null || report === null || written === null) return null
  if (written < predictions || report < written) return null
  const text = await readTextIfExists(path)
  try {
    return Evaluation.parse(JSON.parse(text ?? ''))
  } catch {
    // Torn or of another version: made again.
    return null
  }
}

/**
 * The run's package, if it is whole, holds the run's checkpoint and the operating points of its evaluation, and its
 * certificate passed.
 */
async function currentPackage(
  trained: TrainResult,
  checkpoint: 'best' | 'latest',
  evaluation: Evaluation,
): Promise<PackageResult | null> {
  const run = await readRun(trained.run_dir)
  const dir = join(run.dir, RUN_FILES.package)
  // What cannot be read is made again.
  const found = await readPackage(dir).catch(() => null)
  if (found === null || found.certificate === null || found.damage.length > 0) return null
  if (certificateProblem(found) !== null || found.model.provenance.step !== run[checkpoint]?.step) return null
  // The latest checkpoint has operating points of its own, unless it is the best.
  const isEvaluated = run[checkpoint]?.step === run.best?.step
  if (isEvaluated && !isDeepStrictEqual(found.model.operating_points, evaluation.operating_points))
    return null
  return packageResult(dir, found.certificate)
}

async function modified(path: string): Promise<number | null> {
  return stat(path).then(
    (s) => s.mtimeMs,
    () => null,
  )
}
