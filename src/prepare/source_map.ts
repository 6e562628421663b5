import { join } from 'node:path'
import { z } from 'zod'
import type { Case } from '../schema/case.ts'
import { makeFolder, writeAtomic } from '../storage/local.ts'
import { readLines } from './staging.ts'

/** A line of `private/sources.jsonl` in a shard set: the files that a case was read from. */
const CaseSources = z.strictObject({
  case_id: z.string(),
  images: z.array(z.string()).describe('Absolute.'),
  mask: z.string().nullable(),
})
export type CaseSources = z.infer<typeof CaseSources>

/** Writes where each case's files lie, for its owner only: paths may tell who a patient is. */
export async function writeSourceMap(dir: string, root: string, cases: readonly Case[]): Promise<void> {
  const lines = cases.map(
    ({ case_id, images, mask }): CaseSources => ({
      case_id,
      images: images.map((path) => join(root, path)),
      mask: mask === undefined ? null : join(root, mask),
    }),
  )
  const folder = join(dir, 'private')
  await makeFolder(folder, { isPrivate: true })
  const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('')
  await writeAtomic(join(folder, 'sources.jsonl'), text, { isPrivate: true })
}

/** Case id → its files, as the last `prepare` found them; null where that was not noted. */
export async function readSourceMap(dir: string): Promise<Map<string, CaseSources> | null> {
  const lines = await readLines(join(dir, 'private/sources.jsonl'), CaseSources)
  return lines && new Map(lines.map((line) => [line.case_id, line]))
}
