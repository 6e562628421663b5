import { join } from 'node:path'
import { chosenHereWarning } from '../evaluate/evaluation_warnings.ts'
import type { RunRecord } from '../runs/read.ts'
import { parse } from '../schema/parse.ts'
import { SplitTable } from '../schema/shard_set.ts'
import { count } from '../sources/source_data.ts'
import { readTextIfExists } from '../storage/local.ts'
import { openedText } from './opened_text.ts'
import type { TestState } from './test_state.ts'

/** The split that a run was trained on, or null when its shard set is gone. */
export async function readSplit({ config: { data } }: RunRecord): Promise<SplitTable | null> {
  const path = join(data.shard_set, 'tables', `split-${data.split_id.slice(0, 12)}`, 'split.json')
  const text = await readTextIfExists(path)
  return text === null ? null : parse(SplitTable, JSON.parse(text), path)
}

/** What training went on despite, because the recipe allows it. */
export function leakWarnings(split: SplitTable | null): string[] {
  const shared = (split?.leaks ?? []).filter(({ splits }) => splits.length > 1)
  if (shared.length === 0) return []
  const kinds = new Map<string, number>()
  for (const { kind } of shared) kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
  const words: Record<string, string> = {
    same_patient: 'patient',
    same_bytes: 'equal image',
  }
  const found = [...kinds].map(([kind, n]) => count(n, words[kind] ?? kind))
  return [
    `The split leaks: ${found.join(', ')} in more than one part. Training was allowed by data.allow_leaks; these numbers flatter.`,
  ]
}

/**
 * Numbers on validation are optimistic: it chose the checkpoint, unless that is the latest, and the thresholds, unless
 * the highest score decides.
 */
export function validationWarnings(
  { config: { task } }: RunRecord,
  split: SplitTable | null,
  { isBest, test }: { isBest: boolean; test: TestState | null },
): string[] {
  const thresholds =
    task.kind === 'segment' || task.exclusive ? [] : [task.labels.length === 1 ? 'threshold' : 'thresholds']
  const chose = [...(isBest ? ['checkpoint'] : []), ...thresholds]
  return chose.length === 0 ? [] : [chosenHereWarning(chose, testText(split, test))]
}

/** Where a measurement without that bias is, or how it is had; null where the split has no test part. */
function testText(split: SplitTable | null, test: TestState | null): string | null {
  if (test !== null && test.openings > 0) return openedText(test)
  return (split?.cases.test ?? 0) > 0 ? '"fiducial evaluate <run> --split test" opens the test split' : null
}
