import { MetricError } from './metric_error.ts'
import { emptyRankMetrics, measureRanking, type Ranking, rank } from './ranking.ts'

/**
 * Area under the ROC curve by pair counting; a tied pair counts one half.
 *
 * @param scores one per case, any monotone scale
 * @param labels 1 = finding present, 0 = absent; same length as `scores`
 * @throws {MetricError} if one class is missing: AUROC is then undefined, not 0.5
 * @see Hanley & McNeil, Radiology 143 (1982) 29–36
 */
export function auroc(scores: readonly number[], labels: readonly (0 | 1)[]): number {
  const ranking = rankPairs(scores, labels)
  if (ranking.positive === 0 || ranking.negative === 0)
    throw new MetricError(`AUROC is undefined: no ${ranking.positive === 0 ? 'positive' : 'negative'} cases`)
  return measureRanking(ranking, new Uint16Array([1]), 0, emptyRankMetrics()).auroc
}

/** Ranks plain arrays as cases of one patient: for metrics that need no resampling. */
export function rankPairs(scores: readonly number[], labels: readonly (0 | 1)[]): Ranking {
  if (scores.length !== labels.length)
    throw new MetricError(`${scores.length} scores but ${labels.length} labels`)
  const bad = scores.findIndex((score) => Number.isNaN(score))
  if (bad >= 0) throw new MetricError(`score ${bad} is not a number`)
  return rank(scores, labels, new Uint8Array(scores.length))
}
