import type { Case, SplitPart } from '../schema/case.ts'
import type { Split } from '../schema/data.ts'
import { UserError } from '../schema/errors.ts'
import type { InspectResult, Leak } from '../schema/results.ts'
import { describeLeaks, findLeaks, sameBytes } from './leaks.ts'
import { assignSplit, type Place, type SplitKind } from './split.ts'
import { countParts } from './tables.ts'

export interface SplitView {
  kind: SplitKind | null
  parts: (SplitPart | null)[]
  leaks: Leak[]
  warnings: string[]
}

/**
 * The split that a recipe would train on, and what its parts share.
 *
 * @param hashes SHA-256 of each case's file; null where it is not known
 * @param kept patients that an earlier update keeps in place
 */
export function inspectSplit(
  cases: readonly Case[],
  rule: Split,
  hashes: readonly (string | null)[],
  kept: ReadonlyMap<string, Place>,
): SplitView {
  const same = sameBytes(hashes)
  try {
    const { kind, parts, warnings } = assignSplit(cases, rule, {
      together: same.map((one) => one.cases),
      kept,
    })
    return { kind, parts, leaks: findLeaks(cases, parts, same), warnings }
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    // What is wrong with the split is one finding among others here.
    return { kind: null, parts: cases.map(() => null), leaks: [], warnings: [error.message] }
  }
}

/** The parts that the data bring along, as they are; all null when they bring none. */
export function inspectGivenSplit(
  cases: readonly Case[],
  kind: SplitKind,
  hashes: readonly (string | null)[],
): SplitView {
  const parts = cases.map((one) => one.split ?? null)
  if (parts.every((part) => part === null)) return { kind: null, parts, leaks: [], warnings: [] }
  return { kind, parts, leaks: findLeaks(cases, parts, sameBytes(hashes)), warnings: [] }
}

/** Counts of cases, patients, labels and parts, and what a person should look at. */
export function inspectCases(
  cases: readonly Case[],
  labels: readonly string[],
  hashes: readonly (string | null)[],
  split: SplitView,
): Pick<
  InspectResult,
  'cases' | 'patients' | 'labels' | 'leaks' | 'split' | 'split_patients' | 'split_kind' | 'warnings'
> {
  const warnings = [...split.warnings]
  const repeated = sameBytes(hashes)
  if (repeated.length > 0) {
    const shown = repeated.slice(0, 3).map((one) => one.cases.map((i) => cases[i]!.case_id).join(' = '))
    warnings.push(
      `${repeated.length} images are there more than once, byte for byte: ${shown.join(', ')}${repeated.length > 3 ? ', …' : ''}.`,
    )
    const disagree = repeated.filter(({ cases: members }) =>
      labels.some((label) => new Set(members.map((i) => cases[i]!.labels[label])).size > 1),
    )
    if (disagree.length > 0)
      warnings.push(`${disagree.length} of these images carry labels that contradict each other.`)
  }
  if (split.leaks.length > 0)
    warnings.push(`The parts of the split share patients or images: ${describeLeaks(split.leaks)}.`)
  const partOf = new Map(cases.map(({ case_id }, i) => [case_id, split.parts[i] ?? '']))
  return {
    cases: cases.length,
    patients: new Set(cases.map((one) => one.patient_id)).size,
    labels: Object.fromEntries(
      labels.map((label) => {
        const count = (value: 0 | 1 | null) =>
          cases.filter((one) => (one.labels[label] ?? null) === value).length
        return [label, { positive: count(1), negative: count(0), unknown: count(null) }]
      }),
    ),
    leaks: split.leaks.map((leak) => ({
      ...leak,
      case_splits: leak.case_ids.map((case_id) => partOf.get(case_id)!),
    })),
    split: countParts(split.parts, (members) => members.length),
    split_patients: countParts(
      split.parts,
      (members) => new Set(members.map((i) => cases[i]!.patient_id)).size,
    ),
    split_kind: split.kind,
    warnings,
  }
}
