import { join } from 'node:path'
import type { Case, Labels } from '../schema/case.ts'
import type { InputNormalization, PreprocessSpec } from '../schema/preprocess.ts'
import type { Recipe } from '../schema/recipe.ts'
import type { PrepareResult } from '../schema/results.ts'
import {
  type Fingerprint,
  type LabelsTable,
  Quarantined,
  type ShardIndex,
  type SplitTable,
} from '../schema/shard_set.ts'
import { labelNames, structuresOf, type Task } from '../schema/task.ts'
import { readKept } from './kept_split.ts'
import { describeLeaks, findLeaks, type SameImages, sameBytes } from './leaks.ts'
import { unlearnableLabels } from './learnable.ts'
import { tooManyQuarantined } from './publish.ts'
import { allowedQuarantined, type PrepareRequest } from './request.ts'
import { readFingerprint, readIndex, type StoredCase, storedCases } from './shard_set.ts'
import { writeSourceMap } from './source_map.ts'
import { assignSplit } from './split.ts'
import { readLines } from './staging.ts'
import { normalizationOf, pixelStatistics, type Statistics, volumeNormalization } from './statistics.ts'
import { writeLabelsTable, writeSplitTable } from './tables.ts'

/** A whole shard set with the tables that a recipe asks for. */
export interface PreparedSet {
  /** Absolute. */
  dir: string
  index: ShardIndex
  fingerprint: Fingerprint
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
  const { task } = recipe
  const cases = stored.map((one): Case => withPresence(byId.get(one.case_id)!, one, task))
  const labels = await writeLabelsTable(dir, index, labelNames(task), cases)

  const same = sameBytes(stored.map((one) => one.sha256))
  const rule = recipe.data.split
  const assigned = assignSplit(cases, rule, {
    together: same.map((group) => group.cases),
    kept: await readKept(dir, rule),
  })
  const leaks = findLeaks(cases, assigned.parts, same)
  const training = () => pixelStatistics(dir, index, (i) => assigned.parts[i] === 'train')
  const normalization = await normalizationFor(recipe.prepare, index.preprocess, training)
  const split = await writeSplitTable(dir, labels, cases, { rule, assigned, leaks, normalization })

  const warnings = [
    ...request.source.warnings,
    ...assigned.warnings,
    ...sharedImageWarnings(cases, same),
    ...flatWarnings(recipe, index),
  ]
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
  const unlearnable = unlearnableLabels(cases, assigned.parts, task)
  await writeSourceMap(dir, request, cases)
  const fingerprint = await readFingerprint(dir)
  return {
    dir,
    index,
    fingerprint,
    labels,
    split,
    result,
    synthetic: request.source.synthetic,
    warnings,
    unlearnable,
  }
}

/** A segmentation's labels say which structures a mask holds: they are stratified over, counted and reported. */
function withPresence(one: Case, { mask_voxels }: StoredCase, task: Task): Case {
  if (task.kind !== 'segment') return one
  const present = (values: readonly number[]) => values.some((value) => (mask_voxels?.[value] ?? 0) > 0)
  const labels = structuresOf(task).map(({ name, values }) => [
    name,
    mask_voxels === null ? null : present(values) ? 1 : 0,
  ])
  return { ...one, labels: Object.fromEntries(labels) as Labels }
}

function normalizationFor(
  prepare: Recipe['prepare'],
  spec: PreprocessSpec,
  training: () => Promise<Statistics>,
): Promise<InputNormalization> {
  if (prepare.kind === 'image' && spec.kind === 'image')
    return normalizationOf(prepare.normalize, spec, training)
  if (prepare.kind === 'volume' && spec.kind === 'volume')
    return volumeNormalization(prepare.normalize, spec, training)
  throw new Error(`a set of kind ${spec.kind} for a recipe of kind ${prepare.kind}`)
}

/** Axes that 2D images do not have: whoever names one expects that it does something. */
function flatWarnings({ augment, evaluate }: Recipe, { preprocess }: ShardIndex): string[] {
  if (preprocess.kind !== 'volume' || preprocess.distance_unit !== 'px') return []
  const named = [
    augment.kind === 'volume' && augment.flip.includes('z') && 'augment.flip',
    evaluate.mirror.includes('z') && 'evaluate.mirror',
  ].filter((key) => key !== false)
  return named.map((key) => `${key} names z, which 2D images do not have: it has no effect. Leave it out.`)
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
