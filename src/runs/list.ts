import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { RunConfig } from '../schema/run.ts'
import { explain } from '../storage/local.ts'
import { RUN_FILES } from './folder.ts'
import { type RunRecord, readRun } from './read.ts'

export interface RunList {
  /** Newest first. */
  runs: RunRecord[]
  /** Folders whose run cannot be read, and why. */
  damaged: { dir: string; reason: string }[]
}

/** All runs directly below a folder; none when it does not exist. */
export async function listRuns(parent: string): Promise<RunList> {
  const entries = await readdir(parent, { withFileTypes: true }).catch((cause) => {
    if (cause.code === 'ENOENT') return []
    throw explain(cause, parent)
  })
  const list: RunList = { runs: [], damaged: [] }
  for (const entry of entries) {
    const dir = join(parent, entry.name)
    if (!entry.isDirectory() || !(await exists(join(dir, RUN_FILES.config)))) continue
    try {
      list.runs.push(await readRun(dir))
    } catch (error) {
      list.damaged.push({ dir, reason: (error as Error).message })
    }
  }
  const age = (run: RunRecord) => `${run.config.provenance.created} ${run.id}`
  list.runs.sort((a, b) => (age(a) < age(b) ? 1 : -1))
  return list
}

/** What makes a run the same run: recipe, pixels, labels, split and the network's source. */
export type RunIdentity = Pick<RunConfig, 'recipe_hash' | 'model'> & {
  data: Pick<RunConfig['data'], 'set_id' | 'labels_id' | 'split_id'>
}

/** Keys in which a run differs from what is wanted; none when it can be continued. */
export function differences(config: RunConfig, wanted: RunIdentity): string[] {
  const pairs: [string, unknown, unknown][] = [
    ['recipe', config.recipe_hash, wanted.recipe_hash],
    ['shard set', config.data.set_id, wanted.data.set_id],
    ['labels', config.data.labels_id, wanted.data.labels_id],
    ['split', config.data.split_id, wanted.data.split_id],
    ['model', config.model, wanted.model],
  ]
  return pairs.filter(([, a, b]) => !isDeepStrictEqual(a, b)).map(([name]) => name)
}

/** The newest run below `parent` that is the one wanted and whose status `accepts`. */
export async function findRun(
  parent: string,
  wanted: RunIdentity,
  accepts: (run: RunRecord) => boolean,
): Promise<RunRecord | null> {
  const { runs } = await listRuns(parent)
  return runs.find((run) => accepts(run) && differences(run.config, wanted).length === 0) ?? null
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
