import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { UserError } from '../schema/errors.ts'
import { nearest } from '../schema/parse.ts'
import { RUN_FILES, runsFolder } from './folder.ts'
import { listRuns } from './list.ts'
import { type RunRecord, readRun } from './read.ts'

/**
 * A run by its folder, or by its name below `parent`.
 *
 * @throws {UserError} naming the nearest run
 */
export async function findByReference(reference: string, parent: string = runsFolder()): Promise<RunRecord> {
  const dir = await runFolder(reference, parent)
  if (dir !== null) return readRun(dir)
  const { runs } = await listRuns(parent)
  const near = nearest(
    reference,
    runs.map((run) => run.id),
  )
  throw new UserError(
    `There is no run ${reference}${near ? `; did you mean ${near}?` : reference.endsWith('.') ? '' : '.'}\n` +
      `  looked in: ${parent}\n  do: "fiducial runs list" shows the runs; a path to a run folder works too.`,
  )
}

/** The package that a path names, or that lies in the run that it names; else the path as it is. */
export async function findPackage(reference: string, parent: string = runsFolder()): Promise<string> {
  if (await exists(join(reference, 'model.json'))) return reference
  const dir = await runFolder(reference, parent)
  if (dir === null) return reference
  const found = join(dir, RUN_FILES.package)
  if (await exists(found)) return found
  throw new UserError(`The run ${dir} has no package yet.\n  do: fiducial package ${reference}`)
}

async function runFolder(reference: string, parent: string): Promise<string | null> {
  for (const dir of [resolve(reference), resolve(parent, reference)])
    if (await exists(join(dir, RUN_FILES.config))) return dir
  return null
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
