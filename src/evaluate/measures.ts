import type { Confusion } from '../schema/evaluation.ts'
import {
  confusionMatrix,
  DECISION_METRICS,
  decisionMetric,
  multiclassAccuracy,
  multiclassBalancedAccuracy,
  oneVersusRest,
} from './confusion.ts'
import { emptyRankMetrics, measureRanking, placesAtOrAbove, type Ranking, rank } from './ranking.ts'
import type { ScoredCases } from './scored_cases.ts'

/** Metrics of each label, in the order they stand in a measured row. */
export const LABEL_METRICS = ['auroc', 'average_precision', ...DECISION_METRICS] as const
export type LabelMetric = (typeof LABEL_METRICS)[number]
const WIDTH = LABEL_METRICS.length

/**
 * Everything measured on one set of cases, all or a subgroup. The point estimate and each bootstrap resample are the
 * same function of how often each patient counts, so they cannot come apart.
 */
export interface Measures {
  rankings: Ranking[]
  /** Length of a row: labels × LABEL_METRICS, then multi-class accuracy and balanced accuracy. */
  size: number
  /** Fills `row`; NaN where a metric is undefined. */
  measure(drawn: Uint16Array, row: Float64Array): void
  /** Counts of a label with every patient counted once; null where there is no operating point. */
  confusion(label: number): Confusion | null
  /** Patient of each case that is called positive for a label, its truth being known. */
  calledPatients(label: number): Int32Array
  /** Multi-class only: [truth][prediction], flat. */
  matrix: Float64Array | null
}

export const metricAt = (label: number, metric: LabelMetric): number =>
  label * WIDTH + LABEL_METRICS.indexOf(metric)

/**
 * @param thresholds one a label, null where none could be chosen; ignored for multi-class, where the highest score decides
 * @param cases case indices; all when absent
 */
export function measuresOf(
  columns: ScoredCases,
  thresholds: readonly (number | null)[],
  cases?: Int32Array,
): Measures {
  const numLabels = columns.labels.length
  const { trueClass } = columns
  // A multi-class case counts for every class or, its class being unknown, for none.
  const truths = trueClass
    ? columns.labels.map((_, l) => Int8Array.from(trueClass, (c) => (c < 0 ? -1 : c === l ? 1 : 0)))
    : columns.truth
  const rankings = columns.scores.map((scores, l) => rank(scores, truths[l]!, columns.patientOf, cases))
  const cuts = rankings.map((ranking, l) =>
    thresholds[l] === null || thresholds[l] === undefined ? -1 : placesAtOrAbove(ranking, thresholds[l]),
  )
  const pick = (column: Int32Array) => (cases ? Int32Array.from(cases, (i) => column[i]!) : column)
  const classes = trueClass && {
    truth: pick(trueClass),
    predicted: pick(columns.predictedClass!),
    patientOf: pick(columns.patientOf),
  }
  const matrix = classes && confusionMatrix(classes.truth, classes.predicted, numLabels)
  const presentClasses = rankings.flatMap((ranking, l) => (ranking.positive > 0 ? [l] : []))
  const drawnMatrix = new Float64Array(numLabels * numLabels)
  const ranked = emptyRankMetrics()

  const measure = (drawn: Uint16Array, row: Float64Array) => {
    if (classes)
      confusionMatrix(
        classes.truth,
        classes.predicted,
        numLabels,
        { patientOf: classes.patientOf, drawn },
        drawnMatrix,
      )
    for (let l = 0; l < numLabels; l++) {
      measureRanking(rankings[l]!, drawn, cuts[l]!, ranked)
      const at = l * WIDTH
      row[at] = ranked.auroc
      row[at + 1] = ranked.average_precision
      const counts = classes
        ? oneVersusRest(drawnMatrix, numLabels, l)
        : {
            tp: ranked.tp,
            fp: ranked.fp,
            fn: ranked.positive - ranked.tp,
            tn: ranked.negative - ranked.fp,
          }
      const isDecided = classes !== null || cuts[l]! >= 0
      DECISION_METRICS.forEach((name, m) => {
        row[at + 2 + m] = isDecided ? decisionMetric(name, counts) : Number.NaN
      })
    }
    if (classes) {
      row[numLabels * WIDTH] = multiclassAccuracy(drawnMatrix, numLabels)
      row[numLabels * WIDTH + 1] = multiclassBalancedAccuracy(drawnMatrix, numLabels, presentClasses)
    }
  }

  const confusion = (l: number): Confusion | null => {
    if (matrix) return oneVersusRest(matrix, numLabels, l)
    const cut = cuts[l]!
    if (cut < 0) return null
    const { code, positive, negative } = rankings[l]!
    let tp = 0
    for (let k = 0; k < cut; k++) tp += code[k]! & 1
    return { tp, fp: cut - tp, fn: positive - tp, tn: negative - (cut - tp) }
  }

  const calledPatients = (l: number): Int32Array => {
    if (classes)
      return classes.patientOf.filter((_, i) => classes.truth[i]! >= 0 && classes.predicted[i] === l)
    return rankings[l]!.code.subarray(0, Math.max(0, cuts[l]!)).map((code) => code >>> 2)
  }

  return { rankings, size: numLabels * WIDTH + (classes ? 2 : 0), measure, confusion, calledPatients, matrix }
}
