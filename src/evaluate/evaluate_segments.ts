import type { Attributes } from '../schema/case.ts'
import type { Metric } from '../schema/evaluation.ts'
import type {
  SegmentEvaluation,
  SegmentSubgroup,
  StructureEvaluation,
  StructureMetrics,
} from '../schema/evaluation_segment.ts'
import { patientBootstrap } from './bootstrap.ts'
import { withheldWarnings } from './evaluation_warnings.ts'
import { type Interval, percentileInterval } from './interval.ts'
import { MetricError } from './metric_error.ts'
import {
  METRIC_WORDS,
  SEGMENT_METRICS,
  type SegmentMeasures,
  type SegmentMetric,
  segmentMeasures,
  segmentMetricAt,
} from './segment_measures.ts'
import { type Group, groupsOf } from './subgroups.ts'

/** A case with what `measureMasks` says of it. */
export interface SegmentCase {
  case_id: string
  patient_id: string
  attributes: Attributes
  /** Every label of the task. */
  per_label: Readonly<Record<string, StructureMetrics>>
}

export interface EvaluateSegmentsOptions {
  /** Name → voxel values, in the order that tables show them. */
  labels: Readonly<Record<string, readonly number[]>>
  surface_tolerance_mm: number
  /** Of masks of 2D images, whose lengths are pixels. */
  distance_unit?: 'px'
  /** Run, package or folder that the predicted masks are of. */
  source: string
  split: SegmentEvaluation['split']
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

/** Metrics with a mean over labels: millilitres of different structures have none that says anything. */
const AVERAGED = ['dice', 'surface_dice', 'hd95_mm'] as const

/**
 * Means over cases of a segmentation's metrics with patient-clustered bootstrap intervals; see docs/metrics.md for
 * each definition and for the cases that a mean is over. Pure: the same cases and options give the same result, in
 * whatever order the cases come.
 *
 * @throws {MetricError} without a case, or with one twice
 */
export function evaluateSegments(
  given: readonly SegmentCase[],
  options: EvaluateSegmentsOptions,
): SegmentEvaluation {
  const cases = [...given].sort((a, b) => (a.case_id < b.case_id ? -1 : 1))
  const warnings = [...(options.warnings ?? [])]
  const labels = Object.keys(options.labels)
  const { patientOf, numPatients } = patientNumbers(cases)
  const groups = options.subgroups.flatMap((attribute) => {
    const { groups, dropped } = groupsOf(cases, attribute)
    if (groups.length === 0) warnings.push(`Subgroups: no case has the attribute "${attribute}".`)
    if (dropped > 0)
      warnings.push(`Subgroups: "${attribute}" has ${dropped} more values; the most frequent are shown.`)
    return groups
  })
  const metrics = cases.map(({ per_label }) => per_label)
  const views = [undefined, ...groups.map((group) => group.cases)].map((of) =>
    segmentMeasures(metrics, labels, patientOf, numPatients, of),
  )
  const samples = patientBootstrap(numPatients, views, { resamples: options.bootstrap, seed: options.seed })
  const [whole, ...parts] = views.map((view, v) =>
    meansOf(view, samples[v]!, labels.length, numPatients, options.confidence),
  ) as [Means, ...Means[]]

  const per_label = Object.fromEntries(
    labels.map((label, l) => [label, structureEvaluation(label, cases, (metric) => whole.of(l, metric))]),
  )
  const averaged = Object.fromEntries(AVERAGED.map((metric) => [`${metric}_mean`, whole.overLabels(metric)]))
  const subgroups = groups.map((group, g) => subgroup(group, labels, cases, patientOf, parts[g]!))
  warnings.push(...absentWarnings(per_label), ...withheldWarnings(labels, whole, parts))
  return {
    format: 1,
    source: options.source,
    split: options.split,
    cases: cases.length,
    patients: numPatients,
    task: {
      kind: 'segment',
      labels: Object.fromEntries(Object.entries(options.labels).map(([name, values]) => [name, [...values]])),
    },
    surface_tolerance_mm: options.surface_tolerance_mm,
    ...(options.distance_unit && { distance_unit: options.distance_unit }),
    metrics: averaged,
    per_label,
    per_case: cases.map(({ case_id, patient_id, attributes, per_label }) => ({
      case_id,
      patient_id,
      attributes,
      per_label: Object.fromEntries(labels.map((label) => [label, per_label[label]!])),
    })),
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

function patientNumbers(cases: readonly SegmentCase[]): { patientOf: Int32Array; numPatients: number } {
  if (cases.length === 0) throw new MetricError('There are no masks to evaluate.')
  const seen = new Set<string>()
  const patients = new Map<string, number>()
  const patientOf = Int32Array.from(cases, ({ case_id, patient_id }) => {
    if (seen.has(case_id)) throw new MetricError(`Case ${JSON.stringify(case_id)} is there twice.`)
    seen.add(case_id)
    if (!patients.has(patient_id)) patients.set(patient_id, patients.size)
    return patients.get(patient_id)!
  })
  return { patientOf, numPatients: patients.size }
}

/** Means with intervals on one set of cases. */
interface Means {
  of(label: number, metric: SegmentMetric): Metric
  /** Over the labels that have the metric. */
  overLabels(metric: SegmentMetric): Metric
  /** Metrics shown without an interval. */
  withheld: { metric: string; label: number | null; why: NonNullable<Interval['withheld']> }[]
}

function meansOf(
  measures: SegmentMeasures,
  samples: readonly Float64Array[],
  numLabels: number,
  numPatients: number,
  confidence: number,
): Means {
  const row = new Float64Array(measures.size)
  measures.measure(new Uint16Array(numPatients).fill(1), row)
  const withheld: Means['withheld'] = []
  const estimate = (value: number, values: Float64Array, metric: string, label: number | null): Metric => {
    const interval = percentileInterval(values, confidence)
    if (interval.withheld) withheld.push({ metric, label, why: interval.withheld })
    return { value, low: interval.low, high: interval.high }
  }
  const of = (l: number, metric: SegmentMetric): Metric => {
    const at = segmentMetricAt(l, metric)
    return Number.isNaN(row[at]!)
      ? {
          value: null,
          reason: metric === 'volume_error_relative' ? 'in no reference' : 'in neither mask of any case',
        }
      : estimate(row[at]!, samples[at]!.slice(), METRIC_WORDS[metric], l)
  }
  return {
    of,
    overLabels(metric) {
      if (numLabels === 1) return of(0, metric)
      const places = Array.from({ length: numLabels }, (_, l) => segmentMetricAt(l, metric))
      const covered = places.filter((at) => !Number.isNaN(row[at]!))
      if (covered.length === 0) return { value: null, reason: 'undefined for every label' }
      const mean = (of: (at: number) => number) =>
        covered.reduce((sum, at) => sum + of(at), 0) / covered.length
      const values = samples[0]!.map((_, b) => mean((at) => samples[at]![b]!))
      return estimate(
        mean((at) => row[at]!),
        values,
        `mean ${METRIC_WORDS[metric]}`,
        null,
      )
    },
    withheld,
  }
}

function structureEvaluation(
  label: string,
  cases: readonly SegmentCase[],
  mean: (metric: SegmentMetric) => Metric,
): StructureEvaluation {
  const numWith = (outcome: StructureMetrics['outcome']) =>
    cases.filter(({ per_label }) => per_label[label]!.outcome === outcome).length
  const absent = numWith('correctly_absent')
  return {
    counted: cases.length - absent,
    found: numWith('found'),
    missed: numWith('missed'),
    falsely_present: numWith('falsely_present'),
    correctly_absent: absent,
    ...(Object.fromEntries(SEGMENT_METRICS.map((metric) => [metric, mean(metric)])) as Record<
      SegmentMetric,
      Metric
    >),
  }
}

function subgroup(
  group: Group,
  labels: readonly string[],
  cases: readonly SegmentCase[],
  patientOf: Int32Array,
  means: Means,
): SegmentSubgroup {
  return {
    attribute: group.attribute,
    value: group.value,
    cases: group.cases.length,
    patients: new Set(Array.from(group.cases, (i) => patientOf[i]!)).size,
    per_label: Object.fromEntries(
      labels.map((label, l) => [
        label,
        {
          counted: Array.from(group.cases).filter((i) => cases[i]!.per_label[label]!.dice !== null).length,
          dice: means.of(l, 'dice'),
          surface_dice: means.of(l, 'surface_dice'),
          hd95_mm: means.of(l, 'hd95_mm'),
        },
      ]),
    ),
  }
}

/** Labels that no case has in either mask: a misspelt name or a wrong value, more often than not. */
function absentWarnings(perLabel: Readonly<Record<string, StructureEvaluation>>): string[] {
  const absent = Object.keys(perLabel).filter((label) => perLabel[label]!.counted === 0)
  if (absent.length === 0) return []
  return [
    `${absent.join(', ')}: in neither mask of any case, so nothing was measured and the means over labels leave it out.`,
  ]
}
