import { join } from 'node:path'
import { joinInputSha256 } from '../package/input_sha256.ts'
import type { Case, SplitPart } from '../schema/case.ts'
import type { Certificate } from '../schema/model_package.ts'
import { caseHash } from './source_files.ts'

/** What was evaluated. */
export interface EvaluatedData {
  /** Every case of the data, of all parts. */
  cases: readonly Case[]
  root: string
  part: SplitPart | 'all'
  /** `input_sha256` of the cases evaluated. */
  hashes: readonly string[]
}

/**
 * A package does not know what it was trained on, but its certificate names validation cases of that data set by
 * their hashes. Where the part evaluated is `train`, these are looked for among the data's own validation cases.
 */
export async function builtOnWarning(
  certificate: Pick<Certificate, 'validation' | 'volumes'> | null,
  { cases, root, part, hashes }: EvaluatedData,
): Promise<string[]> {
  const certified = new Set([
    ...(certificate?.validation ?? []).map((one) => one.file_sha256),
    ...(certificate?.volumes ?? []).map((one) => one.files_sha256),
  ])
  if (certified.size === 0) return []
  let isSame = hashes.some((hash) => certified.has(hash))
  if (part === 'train')
    for (const { images, split } of cases) {
      if (isSame) break
      const paths = images.map((path) => join(root, path))
      if (split === 'val') isSame = certified.has((await caseHash(paths, joinInputSha256)) ?? '')
    }
  return isSame
    ? ['The package was built on images of this very data set: cases it has seen flatter the numbers.']
    : []
}
