import { resolve } from 'node:path'
import type { Certificate } from '../schema/model_package.ts'
import type { PackageResult } from '../schema/results.ts'

/** What a package verb prints. */
export function packageResult(
  dir: string,
  { passed, checks }: Pick<Certificate, 'passed' | 'checks'>,
): PackageResult {
  return { package_dir: resolve(dir), certificate: { passed, checks } }
}
