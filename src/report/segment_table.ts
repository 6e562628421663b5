import { unitsOf } from '../evaluate/units.ts'
import type { Metric } from '../schema/evaluation.ts'
import type { SegmentEvaluation } from '../schema/evaluation_segment.ts'
import { count, decimal, threeDigits } from './format.ts'
import { aligned, printable } from './terminal_table.ts'

const SHOWN = [
  ['dice', decimal],
  ['surface_dice', decimal],
  ['hd95_mm', threeDigits],
] as const

/**
 * The evaluation of masks for a terminal: a row a label with intervals and the cases that count, then means, subgroups
 * and warnings. Control characters in names are replaced.
 */
export function segmentTable(evaluation: SegmentEvaluation): string {
  const { per_label, metrics, bootstrap, subgroups, surface_tolerance_mm } = evaluation
  const level = `${Number((100 * bootstrap.confidence).toFixed(2))} % interval`
  const { length, volume } = unitsOf(evaluation)
  const heads = ['Dice', `surface Dice (${surface_tolerance_mm} ${length})`, `HD95 in ${length}`]
  const labels = Object.keys(per_label)
  const rows = [
    ['', 'cases', 'missed', 'false', 'absent', ...heads, `volume error in ${volume}`],
    ...Object.entries(per_label).map(([label, one]) => [
      label,
      ...[one.counted, one.missed, one.falsely_present, one.correctly_absent].map(String),
      ...SHOWN.map(([key, digits]) => short(one[key], digits)),
      short(one.volume_error_ml, threeDigits),
    ]),
  ]
  if (labels.length > 1)
    rows.push([
      'mean',
      '',
      '',
      '',
      '',
      ...SHOWN.map(([key, digits]) => short(metrics[`${key}_mean`], digits)),
      '',
    ])
  const lines = [
    `${evaluation.split === 'all' ? 'all cases' : `${evaluation.split} split`} of ${evaluation.source}: ${count(evaluation.cases, 'case')}` +
      (bootstrap.clusters === 'patient' ? ` of ${count(evaluation.patients, 'patient')}` : '') +
      `; value (${level})`,
    '',
    ...aligned(rows),
  ]
  if (subgroups.length > 0) {
    const groups = subgroups.flatMap((group) =>
      labels.map((label) => {
        const one = group.per_label[label]!
        return [
          `${group.attribute}: ${group.value}`,
          ...(labels.length > 1 ? [label] : []),
          `${one.counted}`,
          `${group.patients}`,
          ...SHOWN.map(([key, digits]) => short(one[key], digits)),
        ]
      }),
    )
    lines.push(
      '',
      ...aligned([['', ...(labels.length > 1 ? ['label'] : []), 'cases', 'patients', ...heads], ...groups]),
    )
  }
  if (evaluation.test_openings > 0)
    lines.push('', `The test split has been opened ${count(evaluation.test_openings, 'time')}.`)
  if (evaluation.warnings.length > 0) lines.push('', ...evaluation.warnings.map((warning) => `! ${warning}`))
  return lines.map(printable).join('\n')
}

/**
 * The evaluation of a run on validation in few lines: values with intervals, on how many cases, and its warnings. Of
 * synthetic data the first line says so.
 */
export function segmentSummaryLines(
  evaluation: SegmentEvaluation,
  { synthetic }: { synthetic: boolean },
): string[] {
  const { metrics, per_label, cases, patients, bootstrap, warnings, surface_tolerance_mm } = evaluation
  const { length } = unitsOf(evaluation)
  const structures = Object.values(per_label)
  const mean = structures.length > 1 ? 'mean ' : ''
  const missed = structures.reduce((sum, one) => sum + one.missed, 0)
  const present = structures.reduce((sum, one) => sum + one.missed + one.found, 0)
  const falsely = structures.reduce((sum, one) => sum + one.falsely_present, 0)
  const of = bootstrap.clusters === 'patient' ? ` of ${count(patients, 'patient')}` : ''
  const [first, ...more] = [
    ...(synthetic ? ['synthetic data, which say nothing about patients'] : []),
    `${mean}Dice ${short(metrics.dice_mean, decimal)}, surface Dice at ${surface_tolerance_mm} ${length} ${short(metrics.surface_dice_mean, decimal)}, HD95 ${short(metrics.hd95_mm_mean, threeDigits)} ${length}`,
    `${count(cases, 'case')}${of}, ${missed} of ${count(present, 'structure')} missed, ${falsely} falsely present (chose the checkpoint: optimistic)`,
    ...warnings.map((warning) => `! ${warning}`),
  ]
  return [`validation  ${first}`, ...more.map((line) => `            ${line}`)].map(printable)
}

function short(metric: Metric | undefined, digits: (value: number) => string): string {
  if (!metric) return ''
  if (metric.value === null) return `– ${metric.reason}`
  if (metric.low === null || metric.high === null) return digits(metric.value)
  const to = metric.low < 0 ? ' to ' : '–'
  return `${digits(metric.value)} (${digits(metric.low)}${to}${digits(metric.high)})`
}
