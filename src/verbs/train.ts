import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { type Job, launchers } from '../launch/launcher.ts'
import { refuseLeaks } from '../prepare/leaks.ts'
import { describeUnlearnable, refuseUnlearnable } from '../prepare/learnable.ts'
import type { PreparedSet } from '../prepare/run.ts'
import { runEngine } from '../python/engine.ts'
import { findPython, PROJECT_ROOT } from '../python/environment.ts'
import { keepRecipe, writeConfig, writeRun } from '../runs/create.ts'
import { runsFolder } from '../runs/folder.ts'
import { releaseLock, takeLock } from '../runs/lock.ts'
import { type ResolvedModel, resolveModel, writeModelSource } from '../runs/model.ts'
import { findRunToContinue, makeRunFolder, type OpenOptions } from '../runs/open.ts'
import { repairPointers } from '../runs/pointers.ts'
import { codeChange, readProvenance } from '../runs/provenance.ts'
import { isFinished, type RunRecord, readRun } from '../runs/read.ts'
import { resolveRunConfig, withProbe } from '../runs/resolve.ts'
import type { SplitPart } from '../schema/case.ts'
import { UserError } from '../schema/errors.ts'
import { parse } from '../schema/parse.ts'
import type { Recipe } from '../schema/recipe.ts'
import type { TrainResult } from '../schema/results.ts'
import { Probe, type RunConfig } from '../schema/run.ts'
import { refuseSharedPatients } from './given_split.ts'
import type { Io } from './io.ts'
import type { LoadedRecipe } from './load_recipe.ts'
import { prepare } from './prepare.ts'
import { followTraining } from './train_progress.ts'
import { TrainStopped, trainResult } from './train_result.ts'

export interface TrainOptions extends Partial<OpenOptions> {
  workers: number
  /** Shard set folder, when it is not the default one. */
  out?: string | undefined
}

/**
 * Trains a recipe: prepares its data if that was not done, continues the newest unfinished run of the same recipe,
 * data and split, or starts one.
 *
 * @throws {UserError} for what the user can mend: leaks in a given split, weights that are missing, a NaN loss …
 * @throws {TrainStopped} when stopped by the signal; it carries the result so far
 */
export async function train(loaded: LoadedRecipe, options: TrainOptions, io: Io): Promise<TrainResult> {
  await findPython()
  const model = await resolveModel(loaded.recipe.model, loaded.dir)
  await refuseSharedPatients(loaded, io.signal)
  const prepared = await prepare(loaded, { workers: options.workers, out: options.out }, io)
  const { result } = await trainPrepared(loaded, prepared, model, options, io)
  const unlearnable = describeUnlearnable(prepared.unlearnable)
  if (unlearnable !== null) io.log(`warning: ${unlearnable}`)
  return result
}

export interface Trained {
  result: TrainResult
  /** The run was finished before: nothing was done. */
  wasFinished: boolean
}

/** As `train`, on a set that is prepared already. */
export async function trainPrepared(
  loaded: LoadedRecipe,
  prepared: PreparedSet,
  model: ResolvedModel,
  options: Partial<OpenOptions>,
  io: Io,
): Promise<Trained> {
  const { recipe } = loaded
  refuseLeaks(prepared.split, recipe.data)
  refuseEmptyParts(prepared.split.cases, prepared.dir)
  refuseUnlearnable(prepared.unlearnable, recipe.task)
  const provenance = await readProvenance(PROJECT_ROOT, io.now())
  const wanted = resolveRunConfig(recipe, loaded.hash, prepared, model.model, provenance)
  const where = { ...options, parent: options.parent ?? runsFolder() }
  if (where.runDir !== undefined)
    for (const file of await repairPointers(where.runDir))
      io.log(`${file} was damaged: written again from the newest checkpoint.`)
  const existing = await findRunToContinue(wanted, where)
  if (existing !== null && isFinished(existing.status)) {
    await keepRecipe(existing.dir, loaded.text)
    io.log(`${existing.dir} is trained already.`)
    return { result: trainResult(existing, null), wasFinished: true }
  }
  const dir = existing?.dir ?? (await makeRunFolder(recipe.name, where, io.now()))
  const generation = await takeLock(dir, io.now())
  try {
    const accelerators = await writeRunFiles(dir, existing, wanted, model, loaded, prepared, io)
    io.log(
      existing === null
        ? `Training in ${dir}`
        : `Continuing ${dir} from step ${existing.latest?.step ?? 0}; --new starts another run.`,
    )
    const ranks = rankCount(recipe, existing, accelerators)
    const changed = existing && codeChange(existing.config.provenance, provenance)
    const job = { runDir: dir, generation, processesPerNode: ranks, warnings: changed ? [changed] : [] }
    return { result: await launch(job, recipe.launch, io), wasFinished: false }
  } finally {
    await releaseLock(dir)
  }
}

/**
 * Fixes what only this machine knows and writes the run's files; a run that is continued keeps its own. Gives the
 * number of accelerators that ranks can be placed on, at least one.
 */
async function writeRunFiles(
  dir: string,
  existing: RunRecord | null,
  wanted: RunConfig,
  model: ResolvedModel,
  { recipe, text: recipeText }: LoadedRecipe,
  prepared: PreparedSet,
  io: Io,
): Promise<number> {
  const config = existing?.config ?? wanted
  const { device, precision } = config.train
  // Starting Python to ask takes seconds; a CPU run that leaves nothing open needs no answer.
  const found =
    device === 'cpu' && precision !== 'auto'
      ? { device, precision, accelerators: 0, memory_bytes: totalmem() }
      : await probe(config, io)
  if (existing === null) {
    await writeModelSource(dir, model)
    const { config: fixed, reasons } = withProbe(wanted, found, recipe, prepared)
    for (const reason of reasons) io.log(`auto: ${reason}`)
    await writeRun(dir, recipeText, fixed)
  } else {
    await keepRecipe(dir, recipeText)
    // The same pixels, moved.
    if (config.data.shard_set !== wanted.data.shard_set)
      await writeConfig(dir, { ...config, data: wanted.data })
  }
  return found.device === 'cuda' ? Math.max(1, found.accelerators) : 1
}

async function probe(config: RunConfig, io: Io): Promise<Probe> {
  const scratch = await mkdtemp(join(tmpdir(), 'fiducial-probe-'))
  try {
    const path = join(scratch, 'run.json')
    await writeFile(path, JSON.stringify(config))
    const found = await runEngine('probe', ['--config', path], { signal: io.signal })
    return parse(Probe, found, 'what fiducial_engine.probe printed')
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

/** Ranks: what the recipe says; else what the run began with, if it fits; else one an accelerator. */
function rankCount(recipe: Recipe, existing: RunRecord | null, accelerators: number): number {
  const { processes_per_node } = recipe.launch
  if (processes_per_node !== 'auto') return processes_per_node
  const before = existing?.events.find((e) => e.type === 'start')?.world_size
  return before !== undefined && before <= accelerators ? before : accelerators
}

async function launch(
  job: Omit<Job, 'watchdogSeconds'>,
  { kind, watchdog_seconds: watchdogSeconds }: Recipe['launch'],
  io: Io,
): Promise<TrainResult> {
  const dir = job.runDir
  const before = await readRun(dir)
  const follower = await followTraining(before, io)
  try {
    await launchers[kind].launch({ ...job, watchdogSeconds }, { signal: io.signal, log: io.log })
  } catch (error) {
    await follower.end()
    if (io.signal.aborted)
      throw new TrainStopped(trainResult(await readRun(dir), follower.resumedFrom()), { cause: error })
    throw error
  }
  await follower.end()
  return trainResult(await readRun(dir), follower.resumedFrom())
}

/** @throws {UserError} when there is nothing to train on, or nothing to validate on */
export function refuseEmptyParts(cases: Record<SplitPart, number>, where: string): void {
  for (const part of ['train', 'val'] as const) {
    if (cases[part] > 0) continue
    throw new UserError(
      `The ${part === 'train' ? 'training' : 'validation'} split is empty: ` +
        `${cases.train} cases train, ${cases.val} val, ${cases.test} test.\n` +
        `  in: ${where}\n` +
        `  do: ${part === 'val' ? 'set data.split.val, the share of patients to validate on' : 'check data.split'}; ` +
        '"fiducial inspect" shows the split.',
    )
  }
}
