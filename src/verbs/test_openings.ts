import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { readLines } from '../prepare/staging.ts'
import { explain } from '../storage/local.ts'

/** A line of a run's `test_openings.jsonl`: once for each time that its test split was scored. */
const TestOpening = z.strictObject({
  time: z.string().describe('ISO 8601, UTC.'),
  step: z.int().nullable().describe('Checkpoint that was scored.'),
})
type TestOpening = z.infer<typeof TestOpening>

const pathIn = (runDir: string) => join(runDir, 'test_openings.jsonl')

/** How often the test split of a run has been opened. */
export const countTestOpenings = async (runDir: string): Promise<number> =>
  (await testOpenings(runDir)).length

/** Each opening, oldest first. */
export async function testOpenings(runDir: string): Promise<TestOpening[]> {
  const advice =
    'correct that line, one JSON object with "time" and "step"; it stands for a look at the test split.'
  return (await readLines(pathIn(runDir), TestOpening, advice)) ?? []
}

/**
 * Notes an opening, before anything of the split is seen; gives the count with this one. One appended line, so that
 * of two at once neither is lost.
 */
export async function noteTestOpening(runDir: string, opening: TestOpening): Promise<number> {
  const path = pathIn(runDir)
  try {
    await appendFile(path, `${JSON.stringify(opening)}\n`, { flush: true })
  } catch (cause) {
    throw explain(cause, path)
  }
  return countTestOpenings(runDir)
}
