import type { Interval } from './interval.ts'
import type { LabelMetric } from './measures.ts'
import type { Ranking } from './ranking.ts'

/**
 * Interval of a metric that is exactly 0 or 1, where every resample says the same and the bootstrap would claim
 * certainty: the exact binomial bound over independent patients. With 30 of 30 right it is [0.884, 1].
 *
 * - sensitivity, specificity, precision, accuracy: trials are the patients with a positive, negative, called-positive,
 *   any case.
 * - AUROC: trials are the most disjoint pairs of one patient with a positive and another with a negative case; each
 *   pair is ranked right with probability AUROC, independently of the others.
 * - balanced accuracy: mean of the bounds of sensitivity and specificity.
 *
 * Conservative: a patient with several cases counts once, pairs that share a patient count once.
 *
 * @param called patient of each case called positive
 * @returns null for metrics without such a bound (average precision, F1) or values between 0 and 1
 * @see Clopper & Pearson, Biometrika 26 (1934) 404–413
 */
export function exactInterval(
  metric: LabelMetric,
  value: number,
  ranking: Ranking,
  called: Int32Array,
  confidence: number,
): Interval | null {
  if (value !== 0 && value !== 1) return null
  const bound = (trials: number) => exactBound(trials, confidence)
  const interval = (low: number) => oneSided(value, low)
  const positive = new Set<number>()
  const negative = new Set<number>()
  for (const code of ranking.code) ((code & 1) === 1 ? positive : negative).add(code >>> 2)
  const all = new Set([...positive, ...negative]).size
  if (metric === 'sensitivity') return interval(bound(positive.size))
  if (metric === 'specificity') return interval(bound(negative.size))
  if (metric === 'precision') return interval(bound(new Set(called).size))
  if (metric === 'accuracy') return interval(bound(all))
  if (metric === 'balanced_accuracy') return interval((bound(positive.size) + bound(negative.size)) / 2)
  if (metric === 'auroc') {
    const pairs = Math.min(positive.size, negative.size, Math.floor(all / 2))
    return pairs > 0 ? interval(bound(pairs)) : null
  }
  return null
}

/**
 * The same for multi-class metrics that are exactly 0 or 1.
 *
 * - accuracy: trials are the patients with any case of known class.
 * - balanced accuracy: mean over the classes that have cases of the bound over the patients with a case of that class.
 *
 * @param rankings one a class, each over all cases of known class
 */
export function exactMulticlassInterval(
  metric: 'accuracy' | 'balanced_accuracy',
  value: number,
  rankings: readonly Ranking[],
  confidence: number,
): Interval | null {
  if (value !== 0 && value !== 1) return null
  const patients = (code: Int32Array) => new Set(code.map((c) => c >>> 2)).size
  const trials =
    metric === 'accuracy'
      ? [patients(rankings[0]!.code)]
      : rankings.map(({ code }) => patients(code.filter((c) => (c & 1) === 1))).filter((n) => n > 0)
  return oneSided(value, trials.reduce((sum, n) => sum + exactBound(n, confidence), 0) / trials.length)
}

/** Lower bound of a share when all of so many independent trials succeeded. */
function exactBound(trials: number, confidence: number): number {
  return ((1 - confidence) / 2) ** (1 / trials)
}

function oneSided(value: number, low: number): Interval {
  return value === 1 ? { low, high: 1 } : { low: 0, high: 1 - low }
}
