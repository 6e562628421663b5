import { readPackage } from '../package/read.ts'
import { verifyCertificate } from '../package/verify.ts'
import type { PackageResult } from '../schema/results.ts'
import type { Io } from './io.ts'
import type { LoadedRecipe } from './load_recipe.ts'
import { packageResult } from './package_result.ts'
import { servedScores } from './served_scores.ts'
import { filesOfRecipe } from './source_files.ts'

/**
 * Measures an existing package again and compares it with its certificate: hashes, golden phantoms, and with `data`
 * the real cases, whose files are found among the recipe's images by their hash. Writes nothing, needs no Python.
 *
 * @throws {UserError} when the folder is no package or its network cannot be loaded
 */
export async function verifyPackage(
  packageDir: string,
  options: { data?: LoadedRecipe },
  io: Io,
): Promise<PackageResult> {
  const onDisk = await readPackage(packageDir)
  for (const line of onDisk.damage) io.log(line)
  const findFile = options.data ? await filesOfRecipe(options.data, io.signal) : null
  if (findFile === null && (onDisk.certificate?.validation.length ?? 0) > 0)
    io.log('Checking the golden images only; --data <recipe> checks the real cases too.')
  return packageResult(onDisk.dir, await verifyCertificate(onDisk, { findFile, served: servedScores }))
}
