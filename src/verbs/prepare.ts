import { dryRunPrepare } from '../prepare/dry_run.ts'
import {
  type PreparedSet,
  type PrepareOptions,
  parseSlice,
  prepareShards,
  prepareSlice,
} from '../prepare/run.ts'
import type { PrepareDryRun, PrepareResult, PrepareSliceResult } from '../schema/results.ts'
import type { Io } from './io.ts'
import type { LoadedRecipe } from './load_recipe.ts'

export type { PreparedSet } from '../prepare/run.ts'

export interface PrepareVerbOptions {
  workers: number
  /** The set's own folder; else `prepared/<set>` in the working directory. */
  out?: string | undefined
  /** Start from the set made before the data changed: keep its untouched shards and its split. */
  update?: boolean
  /** Publish what slices have made, and make nothing. */
  merge?: boolean
  /** Check every byte of a set that is there. */
  verify?: boolean
}

/**
 * Decodes, resamples and shards the images of a recipe, or finds the set that is there already.
 *
 * @throws {UserError} naming what to do; {AttentionError} when too many files cannot be read
 */
export async function prepare(
  loaded: LoadedRecipe,
  options: PrepareVerbOptions,
  io: Io,
): Promise<PreparedSet> {
  const { update = false, merge: mergeOnly = false, verify = false } = options
  const prepared = await prepareShards(loaded.recipe, {
    ...optionsOf(loaded, options, io),
    update,
    mergeOnly,
    verify,
  })
  return told(prepared, io)
}

/**
 * Makes one slice of a recipe's shards, `2/4` being the second of four; any scheduler may run them on machines that
 * share the folder. The last to finish publishes the set; its result is `set`, null for the others.
 */
export async function prepareOneSlice(
  loaded: LoadedRecipe,
  options: { slice: string } & PrepareVerbOptions,
  io: Io,
): Promise<PrepareSliceResult> {
  const slice = parseSlice(options.slice)
  const done = await prepareSlice(loaded.recipe, slice, optionsOf(loaded, options, io))
  const set: PrepareResult | null = done.set === null ? null : told(done.set, io).result
  const { staging, shards, cases, missing, seconds } = done
  return { slice: options.slice, staging, shards, cases, missing_shards: missing, seconds, set }
}

/** What `prepare` would do: nothing is written. */
export async function planPrepare(
  loaded: LoadedRecipe,
  options: PrepareVerbOptions,
  io: Io,
): Promise<PrepareDryRun> {
  return dryRunPrepare(loaded.recipe, optionsOf(loaded, options, io))
}

function optionsOf(loaded: LoadedRecipe, { workers, out }: PrepareVerbOptions, io: Io): PrepareOptions {
  return { root: loaded.root, workers, out, log: (line) => io.log(line), signal: io.signal }
}

function told(prepared: PreparedSet, io: Io): PreparedSet {
  for (const warning of prepared.warnings) io.log(`warning: ${warning}`)
  return prepared
}
