import { type PreparedSet, prepareShards } from '../prepare/run.ts'
import type { Io } from './io.ts'
import type { LoadedRecipe } from './load_recipe.ts'

export type { PreparedSet } from '../prepare/run.ts'

export interface PrepareVerbOptions {
  workers: number
  /** The set's own folder; else `prepared/<set>` in the working directory. */
  out?: string | undefined
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
  const prepared = await prepareShards(loaded.recipe, {
    root: loaded.root,
    workers: options.workers,
    ...(options.out === undefined ? {} : { out: options.out }),
    log: (line) => io.log(line),
    signal: io.signal,
  })
  for (const warning of prepared.warnings) io.log(`warning: ${warning}`)
  return prepared
}
