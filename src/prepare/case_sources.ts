import { join } from 'node:path'
import type { Case } from '../schema/case.ts'
import type { StagedSource } from '../schema/staging.ts'
import { joinedSha256 } from '../storage/local.ts'
import { hashUnknown, lookAll, type SourceHashes } from './source_hashes.ts'

/** Every file that a case is read from, relative to the data root: its images in order, then its mask. */
export function caseFiles({ images, mask }: Pick<Case, 'images' | 'mask'>): string[] {
  return mask === undefined ? [...images] : [...images, mask]
}

/** One SHA-256 for a case: that of its file, or of those of its files; null where one of them is not known. */
export function caseSha256(files: readonly { sha256: string | null }[]): string | null {
  const hashes = files.flatMap(({ sha256 }) => sha256 ?? [])
  return hashes.length < files.length ? null : joinedSha256(hashes)
}

/** What is known of the files of cases without reading them. */
export async function lookUpCases(
  hashes: SourceHashes,
  cases: readonly Case[],
  root: string,
): Promise<StagedSource[]> {
  const paths = cases.map(caseFiles)
  const known = await lookAll(
    hashes,
    paths.flat().map((path) => join(root, path)),
  )
  let at = 0
  return cases.map(({ case_id }, i) => ({
    case_id,
    files: paths[i]!.map((path) => ({ path, ...known[at++]! })),
  }))
}

/** Reads the files whose hash is not known, without decoding them; one that cannot be read stays null. */
export async function hashUnknownCases(
  hashes: SourceHashes,
  sources: readonly StagedSource[],
  root: string,
  signal: AbortSignal,
): Promise<StagedSource[]> {
  const files = sources.flatMap((one) => one.files)
  const known = await hashUnknown(
    hashes,
    files.map(({ path }) => join(root, path)),
    files,
    signal,
  )
  let at = 0
  return sources.map((one) => ({ ...one, files: one.files.map(({ path }) => ({ path, ...known[at++]! })) }))
}
