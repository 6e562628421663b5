import type { StructureMetrics } from '../schema/evaluation_segment.ts'

/** Metrics of each structure, in the order they stand in a measured row. */
export const SEGMENT_METRICS = [
  'dice',
  'surface_dice',
  'hd95_mm',
  'volume_error_ml',
  'absolute_volume_error_ml',
  'volume_error_relative',
] as const
export type SegmentMetric = (typeof SEGMENT_METRICS)[number]

/** As sentences name them. */
export const METRIC_WORDS: Record<SegmentMetric, string> = {
  dice: 'Dice',
  surface_dice: 'surface Dice',
  hd95_mm: 'HD95',
  volume_error_ml: 'volume error',
  absolute_volume_error_ml: 'absolute volume error',
  volume_error_relative: 'relative volume error',
}

/** Mean metrics of a set of cases, all or a subgroup, as a function of how often each patient counts. */
export interface SegmentMeasures {
  /** Length of a row: labels × SEGMENT_METRICS. */
  size: number
  /** Fills `row`; NaN where no case that counts has the metric. */
  measure(drawn: Uint16Array, row: Float64Array): void
}

export const segmentMetricAt = (label: number, metric: SegmentMetric): number =>
  label * SEGMENT_METRICS.length + SEGMENT_METRICS.indexOf(metric)

/**
 * @param perCase per case, its metrics by label
 * @param patientOf a patient number per case
 * @param cases case indices; all when absent
 */
export function segmentMeasures(
  perCase: readonly Readonly<Record<string, StructureMetrics>>[],
  labels: readonly string[],
  patientOf: Int32Array,
  numPatients: number,
  cases?: Int32Array,
): SegmentMeasures {
  const size = labels.length * SEGMENT_METRICS.length
  // A mean is a sum over a count, and both are sums over patients.
  const sums = Array.from({ length: size }, () => new Float64Array(numPatients))
  const counts = Array.from({ length: size }, () => new Float64Array(numPatients))
  for (const i of cases ?? perCase.keys())
    for (const [l, label] of labels.entries())
      for (const metric of SEGMENT_METRICS) {
        const value = metricOf(perCase[i]![label]!, metric)
        if (value === null) continue
        const at = segmentMetricAt(l, metric)
        sums[at]![patientOf[i]!]! += value
        counts[at]![patientOf[i]!]!++
      }
  return {
    size,
    measure(drawn, row) {
      for (let at = 0; at < size; at++) {
        const [ofSums, ofCounts] = [sums[at]!, counts[at]!]
        let sum = 0
        let count = 0
        for (let patient = 0; patient < drawn.length; patient++) {
          const times = drawn[patient]!
          if (times === 0) continue
          sum += times * ofSums[patient]!
          count += times * ofCounts[patient]!
        }
        row[at] = sum / count
      }
    },
  }
}

function metricOf(metrics: StructureMetrics, metric: SegmentMetric): number | null {
  if (metric !== 'absolute_volume_error_ml') return metrics[metric]
  return metrics.volume_error_ml === null ? null : Math.abs(metrics.volume_error_ml)
}
