import { dirname, join } from 'node:path'
import { readSourceMap } from '../prepare/source_map.ts'
import { UserError } from '../schema/errors.ts'
import { readSource } from '../sources/read.ts'
import { stampFile } from '../storage/local.ts'
import type { LoadedRecipe } from './load_recipe.ts'

/** Absolute paths of a case's images. */
export type ImagesOfCase = (case_id: string) => Promise<readonly string[]>

/**
 * Where the images of a shard set's cases lie: where `prepare` read them; of those that are not there any more, where the
 * recipe in `data` has the same case.
 *
 * @throws {UserError} for a case that neither has
 */
export async function imagesOfCases(
  shardSet: string,
  data: LoadedRecipe | undefined,
  signal: AbortSignal,
): Promise<ImagesOfCase> {
  const known = await readSourceMap(shardSet)
  let moved: Promise<Map<string, string[]>> | null = null
  return async (case_id) => {
    const paths = known?.get(case_id)?.images
    if (paths !== undefined && (await areThere(paths))) return paths
    if (data !== undefined) {
      moved ??= casesOf(data, shardSet, signal)
      const found = (await moved).get(case_id)
      if (found !== undefined && (await areThere(found))) return found
    }
    throw new UserError(
      `The images of ${case_id} are not where "prepare" read them${data === undefined ? '' : ', nor in the data set of --data'}.\n` +
        '  do: say where the data set lies now with --data <recipe>, or run "fiducial prepare" with it, which notes it.',
    )
  }
}

/** Ids of de-identified cases are salted by what lies beside their set. */
async function casesOf(
  { recipe, root }: LoadedRecipe,
  shardSet: string,
  signal: AbortSignal,
): Promise<Map<string, string[]>> {
  const privateFolder = { path: join(dirname(shardSet), 'private'), mayWrite: false }
  const { cases } = await readSource(recipe.data, recipe.task, root, signal, {
    isOfVolumes: true,
    privateFolder,
  })
  return new Map(cases.map(({ case_id, images }) => [case_id, images.map((path) => join(root, path))]))
}

async function areThere(paths: readonly string[]): Promise<boolean> {
  for (const path of paths) if ((await stampFile(path)) === null) return false
  return true
}
