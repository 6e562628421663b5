import { join } from 'node:path'
import { z } from 'zod'
import { readLines } from '../prepare/staging.ts'
import { writeAtomic } from '../storage/local.ts'

/** A line of a run's `test_openings.jsonl`: once for each time that its test split was scored. */
const TestOpening = z.strictObject({
  time: z.string().describe('ISO 8601, UTC.'),
  step: z.int().nullable().describe('Checkpoint that was scored.'),
})
type TestOpening = z.infer<typeof TestOpening>

const pathIn = (runDir: string) => join(runDir, 'test_openings.jsonl')

/** How often the test split of a run has been opened. */
export async function countTestOpenings(runDir: string): Promise<number> {
  return ((await readLines(pathIn(runDir), TestOpening)) ?? []).length
}

/** Notes an opening, before anything of the split is seen; gives the count with this one. */
export async function noteTestOpening(runDir: string, opening: TestOpening): Promise<number> {
  const before = (await readLines(pathIn(runDir), TestOpening)) ?? []
  const lines = [...before, opening].map((one) => `${JSON.stringify(one)}\n`).join('')
  await writeAtomic(pathIn(runDir), lines)
  return before.length + 1
}
