import type { Confusion } from '../schema/evaluation.ts'

/** Metrics of a threshold, in the order that tables show them. */
export const DECISION_METRICS = [
  'sensitivity',
  'specificity',
  'precision',
  'f1',
  'balanced_accuracy',
  'accuracy',
] as const
export type DecisionMetric = (typeof DECISION_METRICS)[number]

/** A decision metric of the counts, which may be weighted. NaN where it is undefined: see `whyUndefined`. */
export function decisionMetric(name: DecisionMetric, { tp, fp, tn, fn }: Confusion): number {
  if (name === 'sensitivity') return tp / (tp + fn)
  if (name === 'specificity') return tn / (tn + fp)
  if (name === 'precision') return tp / (tp + fp)
  // With no positive case F1 says nothing about the finding, whatever is called positive.
  if (name === 'f1') return tp + fn === 0 ? Number.NaN : (2 * tp) / (2 * tp + fp + fn)
  if (name === 'accuracy') return (tp + tn) / (tp + tn + fp + fn)
  return (tp / (tp + fn) + tn / (tn + fp)) / 2
}

/** The reason that goes with an undefined metric. */
export function whyUndefined(
  name: DecisionMetric | 'auroc' | 'average_precision',
  counts: { positive: number; negative: number; isDecided: boolean },
): string {
  if (counts.positive + counts.negative === 0) return 'no labelled cases'
  const needsPositive = !['specificity', 'accuracy', 'precision'].includes(name)
  if (needsPositive && counts.positive === 0) return 'no positive cases'
  if (['specificity', 'balanced_accuracy', 'auroc'].includes(name) && counts.negative === 0)
    return 'no negative cases'
  return counts.isDecided ? 'nothing is called positive' : 'no operating point'
}

/**
 * Counts by true and predicted class, [truth][prediction].
 *
 * @param truth class number per case; -1 unknown, left out
 * @param weights times each patient was drawn; each case counts once when absent
 */
export function confusionMatrix(
  truth: ArrayLike<number>,
  predicted: ArrayLike<number>,
  numClasses: number,
  weights?: { patientOf: ArrayLike<number>; drawn: Uint16Array },
  into: Float64Array = new Float64Array(numClasses * numClasses),
): Float64Array {
  into.fill(0)
  for (let i = 0; i < truth.length; i++) {
    const row = truth[i]!
    if (row < 0) continue
    into[row * numClasses + predicted[i]!]! += weights ? weights.drawn[weights.patientOf[i]!]! : 1
  }
  return into
}

/** One class against the rest. */
export function oneVersusRest(matrix: Float64Array, numClasses: number, label: number): Confusion {
  let total = 0
  let row = 0
  let column = 0
  for (let i = 0; i < numClasses; i++) {
    row += matrix[label * numClasses + i]!
    column += matrix[i * numClasses + label]!
  }
  for (const count of matrix) total += count
  const tp = matrix[label * numClasses + label]!
  return { tp, fn: row - tp, fp: column - tp, tn: total - row - column + tp }
}

/** Share of cases given their true class. NaN without cases. */
export function multiclassAccuracy(matrix: Float64Array, numClasses: number): number {
  let right = 0
  let total = 0
  for (let i = 0; i < numClasses; i++) right += matrix[i * numClasses + i]!
  for (const count of matrix) total += count
  return right / total
}

/**
 * Mean recall over `classes`; NaN when one of them has no case.
 *
 * @param classes those with cases in the whole sample, so that a resample that lost one is not averaged over fewer
 */
export function multiclassBalancedAccuracy(
  matrix: Float64Array,
  numClasses: number,
  classes: readonly number[],
): number {
  let sum = 0
  for (const label of classes) {
    let row = 0
    for (let i = 0; i < numClasses; i++) row += matrix[label * numClasses + i]!
    sum += matrix[label * numClasses + label]! / row
  }
  return classes.length === 0 ? Number.NaN : sum / classes.length
}
