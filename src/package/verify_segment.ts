import type { CertifiedVolume } from '../schema/certified_volume.ts'
import { UserError } from '../schema/errors.ts'
import type { Certificate } from '../schema/model_package.ts'
import type { SegmentPackage } from '../schema/segment_package.ts'
import { hasPassed, limited } from './certify.ts'
import {
  type CertifySegmentOptions,
  checkGoldenVolumes,
  checkRecordedCases,
  type RecordedCase,
} from './certify_segment.ts'
import { readGoldenVolumes } from './golden_volume.ts'
import { openSegmenter } from './load_segmenter.ts'
import type { PackageOnDisk } from './read.ts'
import { integrityChecks } from './verify.ts'
import type { ServedMask } from './write_segment.ts'

export interface VerifySegmentOptions {
  /**
   * Opens the files of the case that a certificate names, in the order of its channels; null when they are not at hand.
   * Itself null: no real case is looked for.
   */
  findFiles: ((files_sha256: string) => Promise<(() => Promise<readonly Uint8Array[]>) | null>) | null
  served: ServedMask
}

/**
 * Measures a package that segments again: its files' hashes, model.json against what was certified, the golden phantoms,
 * from their files to masks, against what the reference made of them when the package was built, and the real cases
 * whose files are at hand against what the certificate keeps of them.
 *
 * @throws {UserError} when a network cannot be loaded at all, or the certificate keeps no real case to look for
 */
export async function verifySegmentCertificate(
  onDisk: PackageOnDisk<SegmentPackage>,
  { findFiles, served }: VerifySegmentOptions,
): Promise<Pick<Certificate, 'passed' | 'checks'>> {
  const { checks, certificate } = integrityChecks(onDisk)
  const recorded = findFiles === null ? null : recordedVolumes(onDisk.dir, certificate)
  // What damage or another model.json makes unreadable has failed already; of a whole package it is told.
  const golden = await readGoldenVolumes(onDisk.dir, onDisk.model.preprocess).catch((cause): [] => {
    if (!(cause instanceof UserError) || hasPassed(checks)) throw cause
    return []
  })
  const loaded = await openSegmenter(onDisk, null)
  const options: CertifySegmentOptions = {
    tolerance: certificate.tolerance,
    served: (files) => served(loaded, files),
  }
  try {
    if (golden.length > 0) checks.push(...(await checkGoldenVolumes(loaded, golden, options)))
    if (recorded !== null) {
      const cases: RecordedCase[] = []
      for (const one of recorded) {
        const read = await findFiles!(one.files_sha256)
        if (read !== null) cases.push({ recorded: one, read })
      }
      checks.push(...(await checkRecordedCases(loaded, cases, options)))
      checks.push(limited('validation_files_absent', recorded.length - cases.length, 0))
    }
  } finally {
    await loaded.close()
  }
  return { passed: hasPassed(checks), checks }
}

function recordedVolumes(dir: string, { volumes }: Certificate): CertifiedVolume[] {
  if (volumes !== undefined && volumes.length > 0) return volumes
  throw new UserError(
    `The certificate of ${dir} keeps no real case that data could be compared with.\n` +
      '  do: leave --data out, or package the run again.',
  )
}
