import { mkdir, readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { UserError } from '../schema/errors.ts'
import type { RunConfig } from '../schema/run.ts'
import { explain, makeFolder, readTextIfExists, writeAtomic } from '../storage/local.ts'
import { RUN_FILES, timestamp } from './folder.ts'

/**
 * Makes an empty run folder: `<parent>/<name>-<time>`, with a number behind it when that exists, or `dir` itself.
 *
 * @throws {UserError} when `dir` holds something else
 */
export async function createRunFolder(
  where: { parent: string; name: string } | { dir: string },
  now: Date,
): Promise<string> {
  if ('dir' in where) {
    const dir = resolve(where.dir)
    await makeFolder(dir)
    const entries = await readdir(dir).catch((cause) => Promise.reject(explain(cause, dir)))
    // A lock alone is what a start leaves that ended before its run.json.
    if (entries.some((entry) => !entry.startsWith(RUN_FILES.lock) && entry !== RUN_FILES.logs))
      throw new UserError(
        `${where.dir} is not empty and holds no run.\n  do: name a new folder, or leave --run-dir out.`,
      )
    return dir
  }
  await makeFolder(where.parent)
  const stem = `${where.name}-${timestamp(now)}`
  for (let n = 1; ; n++) {
    const dir = resolve(where.parent, n === 1 ? stem : `${stem}-${n}`)
    try {
      await mkdir(dir)
      return dir
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw explain(cause, dir)
    }
  }
}

/** Writes the recipe as the user wrote it, then `run.json`: from then on the folder is a run. */
export async function writeRun(dir: string, recipeText: string, config: RunConfig): Promise<void> {
  await writeAtomic(join(dir, RUN_FILES.recipe), recipeText)
  await writeConfig(dir, config)
}

/**
 * Makes `recipe.yaml` the recipe that was asked for last. It is of the same training, or it would not have found this
 * run, but `evaluate` and `package` may say something new.
 */
export async function keepRecipe(dir: string, recipeText: string): Promise<void> {
  const path = join(dir, RUN_FILES.recipe)
  if ((await readTextIfExists(path)) !== recipeText) await writeAtomic(path, recipeText)
}

export async function writeConfig(dir: string, config: RunConfig): Promise<void> {
  await writeAtomic(join(dir, RUN_FILES.config), `${JSON.stringify(config, null, 2)}\n`)
}
