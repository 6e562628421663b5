import { rankPairs } from './auroc.ts'
import { MetricError } from './metric_error.ts'
import { emptyRankMetrics, measureRanking } from './ranking.ts'

/**
 * Average precision: the sum over falling thresholds of (recall gained) × precision there, without interpolation
 * between points; equal scores are one threshold. The same as scikit-learn's `average_precision_score`.
 *
 * @param scores one per case, any monotone scale
 * @param labels 1 = finding present, 0 = absent; same length as `scores`
 * @throws {MetricError} if there is no positive case
 * @see Buckley & Voorhees, SIGIR 2000; Davis & Goadrich, ICML 2006, on why not to interpolate linearly
 */
export function averagePrecision(scores: readonly number[], labels: readonly (0 | 1)[]): number {
  const ranking = rankPairs(scores, labels)
  if (ranking.positive === 0) throw new MetricError('average precision is undefined: no positive cases')
  return measureRanking(ranking, new Uint16Array([1]), 0, emptyRankMetrics()).average_precision
}
