import { UserError } from '../schema/errors.ts'
import type { Certificate } from '../schema/model_package.ts'
import type { AnyPackage } from '../schema/segment_package.ts'
import {
  type CertifyOptions,
  type Check,
  certify,
  hasPassed,
  limited,
  type RealCase,
  realCasesOf,
} from './certify.ts'
import { type GoldenCase, readGolden } from './golden.ts'
import { type LoadedPackage, openPackage } from './load.ts'
import type { PackageOnDisk } from './read.ts'

export interface VerifyOptions {
  /** Opens the files of the case with this hash, or says null when they are not at hand. */
  findFiles: ((file_sha256: string) => Promise<(() => Promise<readonly Uint8Array[]>) | null>) | null
  served(loaded: LoadedPackage, cases: readonly (readonly Uint8Array[])[]): Promise<number[][]>
}

/**
 * Measures a package again: its files' hashes, model.json against what was certified, the golden phantoms, and the
 * real cases whose files are at hand, against the scores that the certificate recorded.
 *
 * @throws {UserError} when the network cannot be loaded at all
 */
export async function verifyCertificate(
  onDisk: PackageOnDisk,
  { findFiles, served }: VerifyOptions,
): Promise<Pick<Certificate, 'passed' | 'checks'>> {
  const { model } = onDisk
  const { checks, certificate } = integrityChecks(onDisk)
  const golden = await readGolden(onDisk.dir).catch((cause): GoldenCase[] => {
    if (!(cause instanceof UserError) || onDisk.damage.length === 0) throw cause
    return [] // `damaged_files` says so already
  })
  const loaded = await openPackage(onDisk, null)
  try {
    const options: CertifyOptions = {
      tolerance: certificate.tolerance,
      served: (cases) => served(loaded, cases),
    }
    const { cases, absent } = await casesAtHand(certificate, model.task.labels, findFiles)
    checks.push(...(await certify(loaded, golden, cases, options)))
    if (findFiles !== null) checks.push(limited(`${realCasesOf(model)}_files_absent`, absent, 0))
  } finally {
    await loaded.close()
  }
  return { passed: hasPassed(checks), checks }
}

/**
 * Whether the package is what was certified: its files, model.json, and that it passed then.
 *
 * @throws {UserError} when there is no certificate
 */
export function integrityChecks({ dir, damage, certificate, certifiedDigest }: PackageOnDisk<AnyPackage>): {
  checks: Check[]
  certificate: Certificate
} {
  if (certificate === null)
    throw new UserError(
      `${dir} has no certificate.json: there is nothing to verify against.\n  do: package the run again.`,
    )
  const checks: Check[] = [
    limited('damaged_files', damage.length, 0),
    {
      name: 'model_json',
      passed: certificate.certified_sha256 === certifiedDigest,
      value: certifiedDigest,
      limit: certificate.certified_sha256,
    },
    limited('failed_when_certified', certificate.checks.filter((check) => !check.passed).length, 0),
  ]
  return { checks, certificate }
}

async function casesAtHand(
  certificate: Certificate,
  labels: readonly string[],
  findFiles: VerifyOptions['findFiles'],
): Promise<{ cases: RealCase[]; absent: number }> {
  const cases: RealCase[] = []
  let absent = 0
  for (const { file_sha256, scores } of certificate.validation) {
    const read = findFiles === null ? null : await findFiles(file_sha256)
    if (read === null) {
      absent++
      continue
    }
    const reference = labels.map((label) => scores[label] ?? Number.NaN)
    cases.push({ file_sha256, read, stored: null, reference: () => reference, predicted: null })
  }
  return { cases, absent }
}
