import { join } from 'node:path'
import { STUDY_ATTRIBUTE } from '../evaluate/by_study.ts'
import type { Case, Labels, SplitPart } from '../schema/case.ts'
import type { Split } from '../schema/data.ts'
import type { InputNormalization } from '../schema/preprocess.ts'
import type { Leak } from '../schema/results.ts'
import {
  type LabelsTable,
  PART_CODES,
  type ShardIndex,
  type SplitTable,
  type TableCase,
} from '../schema/shard_set.ts'
import { canonicalJson } from '../storage/canonical_json.ts'
import { readBytes, sha256, stampFile, writeAtomic } from '../storage/local.ts'
import { encodeSafetensors, type Tensor } from '../storage/safetensors.ts'
import { hashLines } from './identity.ts'
import type { AssignedSplit } from './split.ts'

/**
 * Writes the labels of a set, one row a case in shard order, unless they are there already. They name themselves by
 * their content: a corrected label makes another table and touches no pixel.
 *
 * @param cases in shard order
 */
export async function writeLabelsTable(
  dir: string,
  index: ShardIndex,
  labels: readonly string[],
  cases: readonly Case[],
): Promise<LabelsTable> {
  const rows = cases.map(
    ({ case_id, patient_id, study_id, labels: values, attributes }): TableCase => ({
      case_id,
      patient_id,
      labels: Object.fromEntries(labels.map((label) => [label, values[label] ?? null])) as Labels,
      attributes: study_id === undefined ? attributes : { ...attributes, [STUDY_ATTRIBUTE]: study_id },
    }),
  )
  const labelsId = hashLines({ set_id: index.set_id, labels }, rows)
  const data = Int8Array.from(rows.flatMap((row) => labels.map((label) => row.labels[label] ?? -1)))
  const tensors = encodeSafetensors({ labels: { dtype: 'I8', shape: [rows.length, labels.length], data } })
  const table: LabelsTable = {
    format: 1,
    set_id: index.set_id,
    labels_id: labelsId,
    labels: [...labels],
    num_cases: rows.length,
    sha256: sha256(tensors),
  }
  await writeMissing(join(dir, `tables/labels-${labelsId.slice(0, 12)}`), {
    'cases.jsonl': rows.map((row) => `${JSON.stringify(row)}\n`).join(''),
    'labels.safetensors': tensors,
    'labels.json': `${JSON.stringify(table, null, 2)}\n`,
  })
  return table
}

export interface SplitContent {
  rule: Split
  assigned: AssignedSplit
  leaks: Leak[]
  normalization: InputNormalization
}

/** Writes which part each case of a set is in, unless that is there already. */
export async function writeSplitTable(
  dir: string,
  labels: LabelsTable,
  cases: readonly { patient_id: string }[],
  { rule, assigned, leaks, normalization }: SplitContent,
): Promise<SplitTable> {
  const { parts, folds, kind } = assigned
  const codes = Uint8Array.from(parts, (part) => (part === null ? 0 : PART_CODES[part]))
  const whole = {
    set_id: labels.set_id,
    labels_id: labels.labels_id,
    kind,
    rule,
    part: sha256(codes),
    folds: folds === null ? null : sha256(canonicalJson(folds)),
    leaks,
    normalization,
  }
  const splitId = sha256(canonicalJson(whole))
  const part: Tensor = { dtype: 'U8', shape: [codes.length], data: codes }
  const fold: Tensor | null =
    folds === null ? null : { dtype: 'I32', shape: [folds.length], data: Int32Array.from(folds) }
  const tensors = encodeSafetensors(fold === null ? { part } : { part, fold })
  const table: SplitTable = {
    format: 1,
    set_id: labels.set_id,
    split_id: splitId,
    labels_id: labels.labels_id,
    kind,
    cases: countParts(parts, (members) => members.length),
    patients: countParts(parts, (members) => new Set(members.map((i) => cases[i]!.patient_id)).size),
    leaks,
    normalization,
    sha256: sha256(tensors),
  }
  await writeMissing(join(dir, `tables/split-${splitId.slice(0, 12)}`), {
    'split.safetensors': tensors,
    'rule.json': `${canonicalJson(rule)}\n`,
    'split.json': `${JSON.stringify(table, null, 2)}\n`,
  })
  return table
}

/**
 * Writes the files of a table that are not there byte for byte, in the order given: the manifest last. They are small
 * and made anew each time, so a flipped bit is found and mended here.
 */
async function writeMissing(folder: string, files: Record<string, string | Uint8Array>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name)
    const isThere = (await stampFile(path)) !== null && Buffer.from(content).equals(await readBytes(path))
    if (!isThere) await writeAtomic(path, content)
  }
}

/** Something counted over the cases of each part. */
export function countParts(
  parts: readonly (SplitPart | null)[],
  count: (members: number[]) => number,
): Record<SplitPart, number> {
  const members = (part: SplitPart) => [...parts.keys()].filter((i) => parts[i] === part)
  return { train: count(members('train')), val: count(members('val')), test: count(members('test')) }
}
