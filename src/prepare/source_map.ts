import { join } from 'node:path'
import { z } from 'zod'
import type { Case } from '../schema/case.ts'
import { makeFolder, writeAtomic } from '../storage/local.ts'
import type { PrepareRequest } from './request.ts'
import { readLines } from './staging.ts'

/** A line of `private/sources.jsonl` in a shard set: the files that a case was read from. */
const CaseSources = z.strictObject({
  case_id: z.string(),
  images: z.array(z.string()).describe('Absolute.'),
  mask: z.string().nullable(),
})
export type CaseSources = z.infer<typeof CaseSources>

/**
 * Writes where each case's files lie, for its owner only: paths may tell who a patient is. Of de-identified data also
 * those of cases that are left out, as only here it says which file that is.
 *
 * @returns the file
 */
export async function writeSourceMap(
  dir: string,
  { root, source, deidentified, cases: all }: PrepareRequest,
  cases: readonly Case[],
): Promise<string> {
  const kept = new Set(cases.map(({ case_id }) => case_id))
  const others = deidentified ? all.filter(({ case_id }) => !kept.has(case_id)) : []
  const lines = [...cases, ...others].map(
    ({ case_id, images, mask }): CaseSources => ({
      case_id,
      images: images.map((path) => join(root, path)),
      mask: mask === undefined ? null : join(root, mask),
    }),
  )
  for (const { case_id, path } of source.skipped)
    if (path !== undefined && case_id !== undefined)
      lines.push({ case_id, images: [join(root, path)], mask: null })
  const folder = join(dir, 'private')
  await makeFolder(folder, { isPrivate: true })
  const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('')
  const path = join(folder, 'sources.jsonl')
  await writeAtomic(path, text, { isPrivate: true })
  return path
}

/** Case id → its files, as the last `prepare` found them; null where that was not noted. */
export async function readSourceMap(dir: string): Promise<Map<string, CaseSources> | null> {
  const lines = await readLines(join(dir, 'private/sources.jsonl'), CaseSources)
  return lines && new Map(lines.map((line) => [line.case_id, line]))
}
