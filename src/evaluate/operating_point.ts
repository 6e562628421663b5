import type { z } from 'zod'
import type { Confusion } from '../schema/evaluation.ts'
import type { OperatingPointRule, THRESHOLD_METRICS } from '../schema/recipe.ts'
import { decisionMetric } from './confusion.ts'
import { MetricError } from './metric_error.ts'
import type { Ranking } from './ranking.ts'

export type Rule = z.infer<typeof OperatingPointRule>
export type ThresholdMetric = (typeof THRESHOLD_METRICS)[number]

export interface ChosenThreshold {
  /** Positive when score >= threshold. */
  threshold: number
  /** Places of the ranking called positive. */
  cut: number
  /** False when no threshold meets every `subject_to`: the nearest is then given. */
  attained: boolean
}

/**
 * The threshold that a rule asks for. Candidates lie midway between two adjacent distinct scores, so that the last
 * digits of a score, which differ between runtimes, decide nothing; besides them, everything or nothing is called
 * positive. Among equals the higher sensitivity + specificity wins, then the widest gap between the two scores.
 * When `subject_to` cannot be met, the candidate with the least total shortfall is returned, `attained: false`.
 *
 * @param ranking scores in 0..1
 * @throws {MetricError} if a class is missing: no threshold can then be judged
 */
export function chooseOperatingPoint(ranking: Ranking, rule: Rule): ChosenThreshold {
  if (ranking.positive === 0 || ranking.negative === 0)
    throw new MetricError(
      `no operating point can be chosen: no ${ranking.positive === 0 ? 'positive' : 'negative'} cases`,
    )
  const bounds = Object.entries(rule.subject_to) as [ThresholdMetric, number][]
  let best: (ChosenThreshold & { rank: readonly number[] }) | null = null
  for (const candidate of candidates(ranking)) {
    const shortfall = bounds.reduce(
      (sum, [name, least]) => sum + lack(least, thresholdMetric(name, candidate.counts)),
      0,
    )
    const rank = [
      -shortfall,
      thresholdMetric(rule.maximize, candidate.counts),
      thresholdMetric('youden', candidate.counts),
      candidate.gap,
    ]
    if (best === null || isAfter(rank, best.rank)) {
      best = { threshold: candidate.threshold, cut: candidate.cut, attained: shortfall === 0, rank }
    }
  }
  const { threshold, cut, attained } = best!
  return { threshold, cut, attained }
}

/** How much is lacking; what rounding alone can make (0.6 + 0.7 - 1 is 0.2999…) is no lack. */
function lack(least: number, value: number): number {
  return value >= least - ROUNDING ? 0 : least - value
}

/** Far above the rounding of a few sums and quotients, far below what one case changes. */
const ROUNDING = 1e-12

/** An undefined metric counts as 0: a rule never prefers it. Youden's index is sensitivity + specificity - 1. */
function thresholdMetric(name: ThresholdMetric, counts: Confusion): number {
  const value =
    name === 'youden'
      ? decisionMetric('sensitivity', counts) + decisionMetric('specificity', counts) - 1
      : decisionMetric(name, counts)
  return Number.isNaN(value) ? 0 : value
}

interface Candidate {
  threshold: number
  cut: number
  gap: number
  counts: Confusion
}

function* candidates({ code, score, positive, negative }: Ranking): Generator<Candidate> {
  const n = code.length
  let tp = 0
  let fp = 0
  const counts = () => ({ tp, fp, fn: positive - tp, tn: negative - fp })
  if (score[0]! < 1) yield { threshold: midway(score[0]!, 1), cut: 0, gap: 0, counts: counts() }
  for (let k = 0; k < n; k++) {
    if ((code[k]! & 1) === 1) tp++
    else fp++
    if ((code[k]! & 2) === 0) continue
    const low = k + 1 < n ? score[k + 1]! : Math.min(0, score[k]!)
    const gap = k + 1 < n ? score[k]! - low : 0
    yield { threshold: midway(low, score[k]!), cut: k + 1, gap, counts: counts() }
  }
}

/** Between low and high; high itself when no double lies strictly between. */
function midway(low: number, high: number): number {
  const middle = low + (high - low) / 2
  return middle > low ? middle : high
}

function isAfter(a: readonly number[], b: readonly number[]): boolean {
  for (let i = 0; i < a.length; i++) {
    if (a[i]! !== b[i]!) return a[i]! > b[i]!
  }
  return false
}
