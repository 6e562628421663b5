import { type Case, SPLIT_PARTS, type SplitPart } from '../schema/case.ts'
import type { Split } from '../schema/data.ts'
import { UserError } from '../schema/errors.ts'
import { groupCases } from './grouping.ts'
import { strataOf, stratify, type Unit, wholeTargets } from './stratify.ts'

export type SplitCase = Pick<Case, 'case_id' | 'patient_id' | 'labels' | 'split' | 'fold' | 'mask'>
export type SplitKind = 'random' | 'column' | 'official' | 'folds'
/** A part, or the number of a fold. */
export type Place = SplitPart | number

export interface AssignedSplit {
  kind: SplitKind
  /** Of each case; null: in no part. */
  parts: (SplitPart | null)[]
  /** Of each case, for `folds`. */
  folds: number[] | null
  warnings: string[]
}

export interface SplitEvidence {
  /** Cases that must stay in one part besides those of a patient, e.g. images of equal bytes. */
  together?: readonly (readonly number[])[]
  /** Patient → where an earlier split put it. Those patients stay. */
  kept?: ReadonlyMap<string, Place>
}

/**
 * Puts each case into train, val or test. Own splits are by patient, stratified over all labels, and depend only on
 * the patients, their labels and the seed: not on the order of the cases. Given parts are taken as they are.
 *
 * @throws {UserError} when there are fewer patients than parts or folds
 */
export function assignSplit(
  cases: readonly SplitCase[],
  split: Split,
  evidence: SplitEvidence = {},
): AssignedSplit {
  const assigned =
    'folds' in split
      ? assignFolds(cases, split, evidence)
      : 'column' in split || 'official' in split
        ? assignGiven(cases, split, evidence)
        : assignRandom(cases, split, evidence)
  return { ...assigned, warnings: [...assigned.warnings, ...partWarnings(cases, assigned, split)] }
}

type RandomSplit = Extract<Split, { test: number }>
type GivenSplit = Extract<Split, { column: string } | { official: true }>
type FoldSplit = Extract<Split, { folds: number }>

function assignRandom(
  cases: readonly SplitCase[],
  split: RandomSplit,
  evidence: SplitEvidence,
): AssignedSplit {
  const shares = [1 - split.val - split.test, split.val, split.test]
  if (shares[0]! <= 0)
    throw new UserError(
      `data.split: val ${split.val} and test ${split.test} leave nothing to train on; they must sum to less than 1.`,
    )
  const bins = draw(cases, shares, split.seed, evidence, (place) => SPLIT_PARTS.indexOf(place as SplitPart))
  return { kind: 'random', parts: bins.map((bin) => SPLIT_PARTS[bin]!), folds: null, warnings: [] }
}

function assignFolds(cases: readonly SplitCase[], split: FoldSplit, evidence: SplitEvidence): AssignedSplit {
  if (split.fold >= split.folds)
    throw new UserError(
      `data.split.fold is ${split.fold}; with ${split.folds} folds it is 0 to ${split.folds - 1}.`,
    )
  const given = cases.map((one) => one.fold)
  if (given.length > 0 && given.every((fold) => fold !== undefined))
    return {
      kind: 'folds',
      parts: given.map((fold) => (fold === split.fold ? 'val' : 'train')),
      folds: given,
      warnings: [],
    }
  const shares = new Array<number>(split.folds).fill(1 / split.folds)
  const folds = draw(cases, shares, split.seed, evidence, (place) => (typeof place === 'number' ? place : -1))
  const parts = folds.map((fold) => (fold === split.fold ? 'val' : 'train'))
  return { kind: 'folds', parts, folds, warnings: [] }
}

function assignGiven(cases: readonly SplitCase[], split: GivenSplit, evidence: SplitEvidence): AssignedSplit {
  const parts: (SplitPart | null)[] = cases.map((one) => one.split ?? null)
  const kind = 'column' in split ? 'column' : 'official'
  const warnings: string[] = []
  const without = parts.filter((part) => part === null).length
  if (without === cases.length)
    throw new UserError(`data.split asks for given parts, but no case has one.\n  do: check data.split.`)
  if (without > 0)
    warnings.push(`${without} of ${cases.length} cases have no part in the given split and are not used.`)
  if (split.val > 0 && !parts.includes('val')) {
    const training = cases.flatMap((_, i) => (parts[i] === 'train' ? [i] : []))
    const positions = new Map(training.map((i, at) => [i, at]))
    const inner = (group: readonly number[]) => group.flatMap((i) => positions.get(i) ?? [])
    const together = evidence.together?.map(inner)
    const bins = draw(
      training.map((i) => cases[i]!),
      [1 - split.val, split.val],
      split.seed,
      { ...(together ? { together } : {}), ...(evidence.kept ? { kept: evidence.kept } : {}) },
      (place) => (place === 'train' ? 0 : place === 'val' ? 1 : -1),
    )
    for (const [at, i] of training.entries()) if (bins[at] === 1) parts[i] = 'val'
  }
  return { kind, parts, folds: null, warnings }
}

/** The bin of each case. `binOf` tells which bin a kept place is, -1 for none of these. */
function draw(
  cases: readonly SplitCase[],
  shares: readonly number[],
  seed: number,
  evidence: SplitEvidence,
  binOf: (place: Place) => number,
): number[] {
  const groups = groupCases(cases, evidence.together ?? [])
  const numParts = shares.filter((share) => share > 0).length
  if (groups.length < numParts)
    throw new UserError(
      `${groups.length} ${groups.length === 1 ? 'patient' : 'patients'} cannot fill ${numParts} parts: a patient is never torn apart.\n` +
        '  do: give more data, or ask for fewer parts in data.split.',
    )
  const units = groups.map((group): Unit & { cases: readonly number[]; bin: number } => {
    const patients = [...new Set(group.map((i) => cases[i]!.patient_id))].sort()
    const bins = patients
      .map((p) => evidence.kept?.get(p))
      .flatMap((place) => (place === undefined ? [] : [binOf(place)]))
    const strata = strataOf(group.map((i) => cases[i]!))
    // A group that grew around patients of different parts goes to the last of them: test before val before train.
    return { key: patients[0]!, patients: patients.length, strata, cases: group, bin: Math.max(-1, ...bins) }
  })
  const total = units.reduce((sum, unit) => sum + unit.patients, 0)
  const placed = units.filter((unit) => unit.bin >= 0).map((unit) => ({ unit, bin: unit.bin }))
  const free = units.filter((unit) => unit.bin < 0)
  const bins = stratify(free, wholeTargets(total, shares), seed, placed)
  for (const [i, unit] of free.entries()) unit.bin = bins[i]!
  const of = new Array<number>(cases.length).fill(-1)
  for (const unit of units) for (const i of unit.cases) of[i] = unit.bin
  return of
}

/** Parts that are empty, and labels of which a part has one class only. */
function partWarnings(cases: readonly SplitCase[], { kind, parts }: AssignedSplit, split: Split): string[] {
  const warnings: string[] = []
  const labels = [...new Set(cases.flatMap((one) => Object.keys(one.labels)))]
  for (const part of SPLIT_PARTS) {
    const members = cases.filter((_, i) => parts[i] === part)
    const isAsked =
      kind === 'folds' ? part !== 'test' : !(part in split) || (split as RandomSplit)[part as 'val'] > 0
    if (members.length === 0) {
      if (isAsked || part !== 'test') warnings.push(`The ${part} split is empty: ${EMPTY[part]}.`)
      continue
    }
    for (const label of labels) {
      const positive = members.filter((one) => one.labels[label] === 1).length
      const negative = members.filter((one) => one.labels[label] === 0).length
      if (members.some((one) => one.mask !== undefined)) {
        // Every mask has background; which structures it holds is unknown before it is read.
        if (positive === 0 && negative > 0)
          warnings.push(
            `No mask of the ${part} split holds "${label}": ` +
              (part === 'train' ? 'it cannot be learnt.' : 'nothing can be measured for it there.'),
          )
      } else if (positive === 0 || negative === 0)
        warnings.push(
          `The ${part} split has ${positive} positive and ${negative} negative cases of "${label}": ` +
            (part === 'train' ? 'it cannot be learnt.' : 'its AUROC is undefined there.'),
        )
    }
  }
  return warnings
}

const EMPTY = {
  train: 'there is nothing to learn from',
  val: 'no checkpoint can be chosen and no threshold set',
  test: 'nothing can be measured at the end',
}
