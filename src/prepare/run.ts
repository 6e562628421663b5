import { dirname, resolve } from 'node:path'
import { StoppedError, UserError } from '../schema/errors.ts'
import type { Recipe } from '../schema/recipe.ts'
import { stampFile } from '../storage/local.ts'
import { findSet } from './find_set.ts'
import { stagingKey } from './identity.ts'
import { clearLeftovers, finishMoving } from './leftovers.ts'
import { type Making, makeSet, makeSlice, type Slice } from './make_set.ts'
import { setPlace } from './place.ts'
import { type PreparedSet, withTables } from './prepared_set.ts'
import { repairSet } from './repair.ts'
import { readRequest } from './request.ts'
import { SourceHashes } from './source_hashes.ts'
import { writeSourceMap } from './source_map.ts'
import { assignSplit } from './split.ts'
import { mentionUpdate, updateSet } from './update_set.ts'

export type { PreparedSet } from './prepared_set.ts'

export interface PrepareOptions {
  /** Absolute path of the data root. */
  root: string
  /** The set's own folder; else one named by the set below `prepared`. */
  out?: string | undefined
  /** Folder of sets; `prepared/` in the working directory unless named. */
  prepared?: string | undefined
  workers: number
  /** Start from the set made before the data changed: keep its untouched shards and its split. */
  update?: boolean
  /** Publish what slices have made, and make nothing. */
  mergeOnly?: boolean
  /** Check the SHA-256 of a set that is there, not only its sizes. */
  verify?: boolean
  /** False: a phantom that is not there is planned and not made. */
  mayGenerate?: boolean
  log(line: string): void
  signal: AbortSignal
}

/**
 * The shard set and tables of a recipe: found if they are there, else made. A run that was killed at any point is
 * continued by the next; the bytes are the same for any number of workers. Damaged shards are made again.
 *
 * @throws {UserError} naming what to do; {AttentionError} when too many files cannot be read;
 *   {StoppedError} when aborted
 */
export async function prepareShards(recipe: Recipe, options: PrepareOptions): Promise<PreparedSet> {
  return stoppable(options.signal, async () => {
    const making = await begin(recipe, options)
    const { request, place, hashes, started } = making
    await finishMoving(place)
    const found = await findSet(request, place, hashes, options.signal)
    if (found !== null) {
      await clearLeftovers(place)
      const repaired = await repairSet(found.dir, making, { verify: options.verify ?? false })
      if (options.update) await updateSet(making, found)
      return withTables(recipe, request, found.dir, { started, reused: repaired === 0, repaired })
    }
    if (!options.update) await mentionUpdate(making)
    const dir =
      (options.update ? await updateSet(making) : null) ??
      (await makeSet(making, { mergeOnly: options.mergeOnly ?? false }))
    return withTables(recipe, request, dir, { started, reused: false, repaired: 0 })
  })
}

export interface PreparedSlice {
  /** The whole set, if this slice was the last. */
  set: PreparedSet | null
  /** Where the slices meet. */
  staging: string
  shards: number
  cases: number
  /** Shards of the whole set that no slice has made yet. */
  missing: number
  seconds: number
}

/** One share of a recipe's shards, for any scheduler to run; all slices write below one folder. */
export async function prepareSlice(
  recipe: Recipe,
  slice: Slice,
  options: Omit<PrepareOptions, 'update' | 'mergeOnly' | 'verify'>,
): Promise<PreparedSlice> {
  return stoppable(options.signal, async () => {
    const making = await begin(recipe, options)
    const { request, place, hashes, started } = making
    await finishMoving(place)
    const found = await findSet(request, place, hashes, options.signal)
    const { dir, shards, cases, missing } =
      found === null ? await makeSlice(making, slice) : { dir: found.dir, shards: 0, cases: 0, missing: 0 }
    const timing = { started, reused: found !== null, repaired: 0 }
    const set = dir === null ? null : await withTables(recipe, request, dir, timing)
    return {
      set,
      staging: place.staging,
      shards,
      cases,
      missing,
      seconds: (performance.now() - started) / 1000,
    }
  })
}

/** `--slice` takes six digits. */
const MOST_SLICES = 999_999

/** `2/4` */
export function parseSlice(text: string): Slice {
  const [, index, count] = (/^(\d{1,6})\/(\d{1,6})$/.exec(text) ?? []).map(Number)
  if (!index || !count || index > count)
    throw new UserError(
      `--slice ${text}: expected i/n with i from 1 to n and n of at most ${MOST_SLICES}, e.g. 2/4.`,
    )
  return { index, count }
}

export async function begin(recipe: Recipe, options: PrepareOptions): Promise<Making> {
  const started = performance.now()
  if (options.out !== undefined) await refuseFile(options.out)
  const mayRemember = options.mayGenerate !== false
  const request = await readRequest(recipe, options.root, options.signal, { ...options, mayRemember })
  // It is drawn over what could be read; a split that is impossible over all cases is so before they are decoded.
  assignSplit(request.cases, recipe.data.split)
  const key = stagingKey(request.prepare, request.cases, null)
  const place = setPlace(options, key)
  const { workers, log, signal } = options
  // Before anything is made, as a refusal names cases only.
  if (request.deidentified && mayRemember) {
    const map = await writeSourceMap(place.parent, request, request.cases)
    log(`Cases go by salted ids; which files they are stands in ${map}, for its owner alone.`)
  }
  const hashes = await SourceHashes.open(place.parent)
  return { request, place, stagingKey: key, hashes, workers, started, log, signal }
}

/** @throws {UserError} when --out, or a folder above it, is a file */
async function refuseFile(out: string): Promise<void> {
  for (let at = resolve(out); at !== dirname(at); at = dirname(at))
    if ((await stampFile(at)) !== null)
      throw new UserError(
        `--out ${out}: ${at} is a file; the set needs a folder.\n  do: name a new or empty folder.`,
      )
}

async function stoppable<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!signal.aborted || error instanceof StoppedError) throw error
    throw new StoppedError('Stopped. The same command goes on from there.', { cause: error })
  }
}
