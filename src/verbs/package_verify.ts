import { joinInputSha256 } from '../package/input_sha256.ts'
import { isSegmentPackage, type PackageOnDisk, readAnyPackage } from '../package/read.ts'
import { verifyCertificate } from '../package/verify.ts'
import { verifySegmentCertificate } from '../package/verify_segment.ts'
import type { PackageResult } from '../schema/results.ts'
import type { AnyPackage, SegmentPackage } from '../schema/segment_package.ts'
import type { Io } from './io.ts'
import type { LoadedRecipe } from './load_recipe.ts'
import { packageResult } from './package_result.ts'
import { servedMask } from './served_mask.ts'
import { servedScores } from './served_scores.ts'
import { filesOfRecipe } from './source_files.ts'

const GOLDEN_ONLY = 'Checking the golden phantoms only; --data <recipe> checks the real cases too.'

/**
 * Measures an existing package again and compares it with its certificate: hashes, golden phantoms, and with `data`
 * the real cases, whose files are found among the recipe's by their hash. Writes nothing, needs no Python.
 *
 * @throws {UserError} when the folder is no package or its network cannot be loaded
 */
export async function verifyPackage(
  packageDir: string,
  options: { data?: LoadedRecipe },
  io: Io,
): Promise<PackageResult> {
  const found = await readAnyPackage(packageDir)
  for (const line of found.damage) io.log(line)
  const findFiles = options.data ? await filesOfRecipe(options.data, io.signal, joinInputSha256) : null
  if (isOfVolumes(found)) {
    if (findFiles === null && (found.certificate?.volumes?.length ?? 0) > 0) io.log(GOLDEN_ONLY)
    return packageResult(found.dir, await verifySegmentCertificate(found, { findFiles, served: servedMask }))
  }
  const onDisk = found as PackageOnDisk
  if (findFiles === null && (onDisk.certificate?.validation.length ?? 0) > 0) io.log(GOLDEN_ONLY)
  return packageResult(onDisk.dir, await verifyCertificate(onDisk, { findFiles, served: servedScores }))
}

function isOfVolumes(onDisk: PackageOnDisk<AnyPackage>): onDisk is PackageOnDisk<SegmentPackage> {
  return isSegmentPackage(onDisk.model)
}
