import { UserError } from '../schema/errors.ts'
import type { Certificate } from '../schema/model_package.ts'
import type { SegmentPackage } from '../schema/segment_package.ts'
import { hasPassed } from './certify.ts'
import { checkGoldenVolumes } from './certify_segment.ts'
import { readGoldenVolumes } from './golden_volume.ts'
import { openSegmenter } from './load_segmenter.ts'
import type { PackageOnDisk } from './read.ts'
import { integrityChecks } from './verify.ts'

/**
 * Measures a package that segments again: its files' hashes, model.json against what was certified, and the golden
 * phantoms, from their files to masks, against what the reference made of them when the package was built.
 *
 * @throws {UserError} when a network cannot be loaded at all
 */
export async function verifySegmentCertificate(
  onDisk: PackageOnDisk<SegmentPackage>,
): Promise<Pick<Certificate, 'passed' | 'checks'>> {
  const { checks, certificate } = integrityChecks(onDisk)
  // What damage or another model.json makes unreadable has failed already; of a whole package it is told.
  const golden = await readGoldenVolumes(onDisk.dir, onDisk.model.preprocess).catch((cause): [] => {
    if (!(cause instanceof UserError) || hasPassed(checks)) throw cause
    return []
  })
  const loaded = await openSegmenter(onDisk, null)
  try {
    if (golden.length > 0) checks.push(...(await checkGoldenVolumes(loaded, golden, certificate.tolerance)))
  } finally {
    await loaded.close()
  }
  return { passed: hasPassed(checks), checks }
}
