import type { Evaluation, LabelEvaluation, Metric, OperatingPoint, Subgroup } from '../schema/evaluation.ts'
import type { Prediction } from '../schema/prediction.ts'
import { patientBootstrap } from './bootstrap.ts'
import { DECISION_METRICS } from './confusion.ts'
import { type Estimates, estimatesOf } from './estimates.ts'
import {
  missedRuleWarnings,
  missingClassWarnings,
  OPTIMISTIC,
  withheldWarnings,
} from './evaluation_warnings.ts'
import { LABEL_METRICS, type LabelMetric, type Measures, measuresOf } from './measures.ts'
import { chooseOperatingPoint, type Rule } from './operating_point.ts'
import { rank } from './ranking.ts'
import { precisionRecallPoints, rocPoints } from './roc.ts'
import { type ScoredCases, scoredCases } from './scored_cases.ts'
import { type Group, groupsOf } from './subgroups.ts'

export interface EvaluateOptions {
  task: { labels: readonly string[]; exclusive: boolean }
  /** Run, package or files that made the predictions. */
  source: string
  split: Evaluation['split']
  /** Operating points fixed elsewhere, applied unchanged; without them `rule` chooses on these very predictions. */
  operating_points?: Readonly<Record<string, OperatingPoint>>
  rule: Rule
  /** What `operating_points` made here say they were chosen on. */
  chosen_on: string
  /** Resamples behind each interval. */
  bootstrap: number
  confidence: number
  seed: number
  /** Attributes whose groups get metrics of their own. */
  subgroups: readonly string[]
  /** What is resampled: cases, only where patients are not known. */
  clusters?: 'patient' | 'case'
  test_openings: number
  /** Put before the warnings found here. */
  warnings?: readonly string[]
}

/**
 * All metrics of a set of predictions with patient-clustered bootstrap intervals; see docs/metrics.md for each
 * definition and its policy where it is undefined. Pure: the same predictions and options give the same result.
 *
 * @throws {MetricError} naming the first case that cannot be measured
 */
export function evaluatePredictions(
  predictions: readonly Prediction[],
  options: EvaluateOptions,
): Evaluation {
  const warnings = [...(options.warnings ?? [])]
  const columns = scoredCases(predictions, options.task)
  const isFixed = options.operating_points !== undefined
  const points = options.task.exclusive
    ? {}
    : { ...(options.operating_points ?? chosenHere(columns, options, warnings)) }
  // Of validation, the caller says what else was chosen on it.
  if (!isFixed && options.chosen_on !== 'val' && Object.keys(points).length > 0) warnings.push(OPTIMISTIC)
  const thresholds = columns.labels.map((label) => points[label]?.threshold ?? null)
  const groups = options.subgroups.flatMap((attribute) => {
    const { groups, dropped } = groupsOf(predictions, attribute)
    if (groups.length === 0) warnings.push(`Subgroups: no case has the attribute "${attribute}".`)
    if (dropped > 0)
      warnings.push(`Subgroups: "${attribute}" has ${dropped} more values; the most frequent are shown.`)
    return groups
  })
  const isDecided = thresholds.map((threshold) => options.task.exclusive || threshold !== null)
  const views = [undefined, ...groups.map(({ cases }) => cases)].map((cases) =>
    measuresOf(columns, thresholds, cases),
  )
  const samples = patientBootstrap(columns.numPatients, views, {
    resamples: options.bootstrap,
    seed: options.seed,
  })
  const [whole, ...parts] = views.map((view, v) =>
    estimatesOf(view, samples[v]!, columns.numPatients, isDecided, options.confidence),
  ) as [Estimates, ...Estimates[]]

  const per_label = labelEvaluations(columns, views[0]!, whole)
  const metrics = summaryMetrics(columns, whole, warnings)
  const subgroups = groups.map((group, g) => subgroup(group, columns, parts[g]!))
  if (isFixed) warnings.push(...missedRuleWarnings(points, per_label))
  warnings.push(...withheldWarnings(columns.labels, whole, parts), ...missingClassWarnings(per_label))
  return {
    format: 1,
    source: options.source,
    split: options.split,
    cases: columns.numCases,
    patients: columns.numPatients,
    task: { labels: columns.labels, exclusive: options.task.exclusive },
    metrics,
    per_label,
    confusion_matrix: matrixOf(columns, views[0]!),
    operating_points: isFixed ? points : withMetrics(points, per_label),
    subgroups,
    bootstrap: {
      resamples: options.bootstrap,
      confidence: options.confidence,
      clusters: options.clusters ?? 'patient',
      seed: options.seed,
    },
    test_openings: options.test_openings,
    warnings,
  }
}

/** Operating points by the rule on these predictions; a label that lacks a class gets none. */
function chosenHere(
  columns: ScoredCases,
  { rule, chosen_on }: EvaluateOptions,
  warnings: string[],
): Record<string, OperatingPoint> {
  const points: Record<string, OperatingPoint> = {}
  columns.labels.forEach((label, l) => {
    const ranking = rank(columns.scores[l]!, columns.truth[l]!, columns.patientOf)
    if (ranking.positive === 0 || ranking.negative === 0) return
    const { threshold, attained } = chooseOperatingPoint(ranking, rule)
    points[label] = { label, threshold, rule, attained, chosen_on, metrics: {} }
    if (!attained)
      warnings.push(
        `${label}: no threshold meets ${Object.entries(rule.subject_to)
          .map(([name, least]) => `${name} >= ${least}`)
          .join(' and ')}; the nearest is used.`,
      )
  })
  return points
}

function withMetrics(
  points: Record<string, OperatingPoint>,
  perLabel: Record<string, LabelEvaluation>,
): Record<string, OperatingPoint> {
  return Object.fromEntries(
    Object.entries(points).map(([label, point]) => [
      label,
      {
        ...point,
        metrics: Object.fromEntries(DECISION_METRICS.map((name) => [name, perLabel[label]![name]])),
      },
    ]),
  )
}

function labelEvaluations(
  columns: ScoredCases,
  measures: Measures,
  estimates: Estimates,
): Record<string, LabelEvaluation> {
  return Object.fromEntries(
    columns.labels.map((label, l) => {
      const ranking = measures.rankings[l]!
      const metrics = Object.fromEntries(
        LABEL_METRICS.map((name) => [name, estimates.label(l, name)]),
      ) as Record<LabelMetric, Metric>
      const evaluation: LabelEvaluation = {
        positive: ranking.positive,
        negative: ranking.negative,
        unknown: columns.numCases - ranking.positive - ranking.negative,
        ...metrics,
        confusion: measures.confusion(l),
        roc: rocPoints(ranking),
        pr: precisionRecallPoints(ranking),
      }
      return [label, evaluation]
    }),
  )
}

/** Means over labels; a mean that leaves labels out says which. Multi-class adds accuracy and balanced accuracy. */
function summaryMetrics(
  columns: ScoredCases,
  estimates: Estimates,
  warnings: string[],
): Record<string, Metric> {
  const metrics: Record<string, Metric> = {}
  const gaps = new Map<string, string[]>()
  for (const name of LABEL_METRICS) {
    const { metric, leftOut } = estimates.mean(name)
    metrics[`${name}_mean`] = metric
    if (metric.value === null || leftOut.length === 0) continue
    const labels = leftOut.map((l) => columns.labels[l]!).join(', ')
    gaps.set(labels, [...(gaps.get(labels) ?? []), `${name}_mean`])
  }
  for (const [labels, names] of gaps)
    warnings.push(
      `${names.length === LABEL_METRICS.length ? 'All means' : names.join(', ')}: left out ${labels}, where undefined.`,
    )
  if (columns.isExclusive) {
    metrics.accuracy = estimates.accuracy()
    metrics.balanced_accuracy = estimates.balancedAccuracy()
  }
  return metrics
}

function subgroup(group: Group, columns: ScoredCases, estimates: Estimates): Subgroup {
  return {
    attribute: group.attribute,
    value: group.value,
    cases: group.cases.length,
    patients: new Set(Array.from(group.cases, (i) => columns.patientOf[i]!)).size,
    per_label: Object.fromEntries(
      columns.labels.map((label, l) => [
        label,
        {
          auroc: estimates.label(l, 'auroc'),
          sensitivity: estimates.label(l, 'sensitivity'),
          specificity: estimates.label(l, 'specificity'),
        },
      ]),
    ),
  }
}

function matrixOf(columns: ScoredCases, { matrix }: Measures): Evaluation['confusion_matrix'] {
  if (!matrix) return null
  const n = columns.labels.length
  return {
    labels: columns.labels,
    counts: columns.labels.map((_, row) => Array.from(matrix.subarray(row * n, row * n + n))),
  }
}
