import { resolve } from 'node:path'
import { UserError } from '../schema/errors.ts'
import type { RunConfig } from '../schema/run.ts'
import { readTextIfExists } from '../storage/local.ts'
import { createRunFolder } from './create.ts'
import { RUN_FILES } from './folder.ts'
import { differences, findRun } from './list.ts'
import { isFinished, type RunRecord, readRun } from './read.ts'

export interface OpenOptions {
  /** Folder of runs to look in and to make new ones in. */
  parent: string
  /** A certain run folder, existing or not. */
  runDir?: string | undefined
  /** Start another run whatever exists. */
  new?: boolean | undefined
  /** Whether a finished run of the same recipe is the one wanted, or only an unfinished one. */
  reuseFinished?: boolean | undefined
}

/**
 * The run to continue, or null when there is none and a new one is to be made.
 *
 * @throws {UserError} when `runDir` holds a run of another recipe, data or network
 */
export async function findRunToContinue(wanted: RunConfig, options: OpenOptions): Promise<RunRecord | null> {
  if (options.runDir === undefined) {
    if (options.new) return null
    const accepts = (run: RunRecord) => options.reuseFinished || !isFinished(run.status)
    return findRun(options.parent, wanted, accepts)
  }
  const dir = resolve(options.runDir)
  if ((await readTextIfExists(`${dir}/${RUN_FILES.config}`)) === null) return null
  const run = await readRun(dir)
  const other = differences(run.config, wanted)
  if (other.length > 0)
    throw new UserError(
      `${options.runDir} holds a run of another ${other.join(', ')}.\n` +
        '  do: name a new folder with --run-dir, or leave it out and let a folder be made.',
    )
  if (options.new)
    throw new UserError(`${options.runDir} already holds a run.\n  do: leave --new or --run-dir out.`)
  return run
}

/** An empty folder for a new run. */
export function makeRunFolder(name: string, options: OpenOptions, now: Date): Promise<string> {
  return createRunFolder(
    options.runDir === undefined ? { parent: options.parent, name } : { dir: options.runDir },
    now,
  )
}
