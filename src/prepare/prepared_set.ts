import { join } from 'node:path'
import type { Case } from '../schema/case.ts'
import type { Recipe } from '../schema/recipe.ts'
import type { PrepareResult } from '../schema/results.ts'
import { type LabelsTable, Quarantined, type ShardIndex, type SplitTable } from '../schema/shard_set.ts'
import { readKept } from './kept_split.ts'
import { describeLeaks, findLeaks, type SameImages, sameBytes } from './leaks.ts'
import { unlearnableLabels } from './learnable.ts'
import { tooManyQuarantined } from './publish.ts'
import { allowedQuarantined, type PrepareRequest } from './request.ts'
import { readIndex, storedCases } from './shard_set.ts'
import { assignSplit } from './split.ts'
import { readLines } from './staging.ts'
import { normalizationOf, pixelStatistics } from './statistics.ts'
import { writeLabelsTable, writeSplitTable } from './tables.ts'

/** A whole shard set with the tables that a recipe asks for. */
export interface PreparedSet {
  /** Absolute. */
  dir: string
  index: ShardIndex
  labels: LabelsTable
  split: SplitTable
  result: PrepareResult
  /** Made by a generator; whatever shows numbers from it says so. */
  synthetic: boolean
  warnings: string[]
  /** Labels of which the training part lacks a class. */
  unlearnable: string[]
}

/**
 * The tables of a recipe for a set that is whole: labels, split and statistics. No pixel is read or written.
 *
 * @param made how the pixels came about; `started` is `performance.now()` when the command began
 */
export async function withTables(
  recipe: Recipe,
  request: PrepareRequest,
  dir: string,
  made: { started: number; reused: boolean; repaired: number },
): Promise<PreparedSet> {
  const index = (await readIndex(dir))!
  const quarantined = await quarantinedOf(request, dir)
  const stored = await storedCases(dir, index)
  const byId = new Map(request.cases.map((one) => [one.case_id, one]))
  const cases = stored.map(({ case_id }): Case => byId.get(case_id)!)
  const labels = await writeLabelsTable(dir, index, recipe.task.labels, cases)

  const same = sameBytes(stored.map((one) => one.sha256))
  const rule = recipe.data.split
  const assigned = assignSplit(cases, rule, {
    together: same.map((group) => group.cases),
    kept: await readKept(dir, rule),
  })
  const leaks = findLeaks(cases, assigned.parts, same)
  const training = () => pixelStatistics(dir, index, (i) => assigned.parts[i] === 'train')
  const normalization = await normalizationOf(recipe.prepare.normalize, index.preprocess, training)
  const split = await writeSplitTable(dir, labels, cases, { rule, assigned, leaks, normalization })

  const warnings = [...request.source.warnings, ...assigned.warnings, ...sharedImageWarnings(cases, same)]
  if (leaks.length > 0)
    warnings.push(
      `The parts of the split share patients or images: ${describeLeaks(leaks)}. ` +
        (recipe.data.allow_leaks ? 'data.allow_leaks lets training go on.' : 'Training on it is refused.'),
    )
  const seconds = (performance.now() - made.started) / 1000
  const result: PrepareResult = {
    out: dir,
    set_id: index.set_id,
    cases: index.num_cases,
    shards: index.shards.length,
    bytes: index.shards.reduce((sum, { bytes }) => sum + bytes, 0),
    quarantined,
    seconds,
    cases_per_second: index.num_cases / seconds,
    reused: made.reused,
    repaired: made.repaired,
  }
  const unlearnable = unlearnableLabels(cases, assigned.parts, recipe.task.labels)
  return { dir, index, labels, split, result, synthetic: request.source.synthetic, warnings, unlearnable }
}

/** Images that stand under several patients, which an own split keeps together. */
function sharedImageWarnings(cases: readonly Case[], same: readonly SameImages[]): string[] {
  const across = same.filter(
    ({ cases: members }) => new Set(members.map((i) => cases[i]!.patient_id)).size > 1,
  )
  if (across.length === 0) return []
  const shown = across.slice(0, 3).map((one) => one.cases.map((i) => cases[i]!.case_id).join(' = '))
  const more = across.length > shown.length ? ', …' : ''
  return [
    `${across.length} images stand under more than one patient, byte for byte (${shown.join(', ')}${more}): ` +
      'a split of our own keeps these patients in one part. Check the patient ids.',
  ]
}

/** Cases of this request without pixels in the set; the set's own list may hold others that were skipped then. */
async function quarantinedOf(request: PrepareRequest, dir: string): Promise<Quarantined[]> {
  const path = join(dir, 'quarantine.jsonl')
  const asked = new Set(request.cases.map((one) => one.case_id))
  const unread = ((await readLines(path, Quarantined)) ?? []).filter((one) => asked.has(one.case_id))
  const all = [...request.skipped, ...unread]
  if (all.length > allowedQuarantined(request))
    throw tooManyQuarantined(all, allowedQuarantined(request), path)
  return all
}
