import type { Metric } from '../schema/evaluation.ts'
import { whyUndefined } from './confusion.ts'
import { exactInterval, exactMulticlassInterval } from './exact_interval.ts'
import { type Interval, percentileInterval } from './interval.ts'
import { LABEL_METRICS, type LabelMetric, type Measures, metricAt } from './measures.ts'

/** Point estimates with intervals on one set of cases. */
export interface Estimates {
  label(l: number, metric: LabelMetric): Metric
  /** Mean over the labels where the metric is defined; `leftOut` are the others. */
  mean(metric: LabelMetric): { metric: Metric; leftOut: number[] }
  /** Multi-class only. */
  accuracy(): Metric
  balancedAccuracy(): Metric
  /** Metrics shown without an interval, by reason, in the order they were asked for. */
  withheld: { metric: string; label: number | null; why: NonNullable<Interval['withheld']> }[]
}

/**
 * @param samples bootstrap values per place of the measured row
 * @param isDecided false for labels without an operating point
 */
export function estimatesOf(
  measures: Measures,
  samples: readonly Float64Array[],
  numPatients: number,
  isDecided: readonly boolean[],
  confidence: number,
): Estimates {
  const row = new Float64Array(measures.size)
  measures.measure(new Uint16Array(numPatients).fill(1), row)
  const numLabels = measures.rankings.length
  const withheld: Estimates['withheld'] = []

  const estimate = (
    value: number,
    values: Float64Array,
    name: { metric: string; label: number | null },
    exact: () => Interval | null,
  ): Metric => {
    const percentile = percentileInterval(values, confidence)
    const interval = percentile.withheld === 'no spread' ? (exact() ?? percentile) : percentile
    if (interval.withheld) withheld.push({ ...name, why: interval.withheld })
    return { value, low: interval.low, high: interval.high }
  }

  const made = new Map<number, Metric>()
  const label = (l: number, metric: LabelMetric): Metric => {
    const at = metricAt(l, metric)
    let result = made.get(at)
    if (!result) {
      const ranking = measures.rankings[l]!
      const value = row[at]!
      result = Number.isNaN(value)
        ? { value: null, reason: whyUndefined(metric, { ...ranking, isDecided: isDecided[l]! }) }
        : estimate(value, samples[at]!.slice(), { metric, label: l }, () =>
            exactInterval(metric, value, ranking, measures.calledPatients(l), confidence),
          )
      made.set(at, result)
    }
    return result
  }

  const mean = (metric: LabelMetric) => {
    const all = measures.rankings.map((_, l) => l)
    const covered = all.filter((l) => !Number.isNaN(row[metricAt(l, metric)]!))
    if (numLabels === 1) return { metric: label(0, metric), leftOut: [] }
    const leftOut = all.filter((l) => !covered.includes(l))
    if (covered.length === 0)
      return { metric: { value: null, reason: 'undefined for every label' } as Metric, leftOut }
    const value = covered.reduce((sum, l) => sum + row[metricAt(l, metric)]!, 0) / covered.length
    const values = samples[0]!.map(
      (_, b) => covered.reduce((sum, l) => sum + samples[metricAt(l, metric)]![b]!, 0) / covered.length,
    )
    return { metric: estimate(value, values, { metric: `${metric}_mean`, label: null }, () => null), leftOut }
  }

  const multiclass = (offset: 0 | 1, metric: 'accuracy' | 'balanced_accuracy'): Metric => {
    const at = numLabels * LABEL_METRICS.length + offset
    const value = row[at]!
    if (Number.isNaN(value)) return { value: null, reason: 'no labelled cases' }
    return estimate(value, samples[at]!.slice(), { metric, label: null }, () =>
      exactMulticlassInterval(metric, value, measures.rankings, confidence),
    )
  }

  return {
    label,
    mean,
    accuracy: () => multiclass(0, 'accuracy'),
    balancedAccuracy: () => multiclass(1, 'balanced_accuracy'),
    withheld,
  }
}
