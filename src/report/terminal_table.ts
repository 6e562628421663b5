import type { Evaluation, Metric } from '../schema/evaluation.ts'
import { count, decimal, metricText } from './format.ts'

/**
 * The evaluation for a terminal: a row a label with intervals, then means, operating points and warnings. Control
 * characters in names are replaced.
 */
export function evaluationTable(evaluation: Evaluation): string {
  const { task, per_label, metrics, operating_points, bootstrap, subgroups } = evaluation
  const level = `${Number((100 * bootstrap.confidence).toFixed(2))} % interval`
  const ranked = ['auroc', 'average_precision'] as const
  const decided = ['sensitivity', 'specificity'] as const
  const rows = [
    ['', 'pos/neg', 'AUROC', 'average precision', 'sensitivity', 'specificity', 'threshold'],
    ...task.labels.map((label) => {
      const one = per_label[label]!
      const threshold = operating_points[label]?.threshold.toPrecision(4) ?? 'none'
      return [
        label,
        `${one.positive}/${one.negative}`,
        ...[...ranked, ...decided].map((name) => short(one[name])),
        task.exclusive ? 'highest' : threshold,
      ]
    }),
  ]
  if (task.labels.length > 1)
    rows.push(['mean', '', ...[...ranked, ...decided].map((name) => short(metrics[`${name}_mean`])), ''])
  const lines = [
    `${evaluation.split === 'all' ? 'all cases' : `${evaluation.split} split`} of ${evaluation.source}: ${count(evaluation.cases, 'case')}` +
      (bootstrap.clusters === 'patient' ? ` of ${count(evaluation.patients, 'patient')}` : '') +
      `; value (${level})`,
    '',
    ...aligned(rows),
  ]
  if (task.exclusive)
    lines.push(
      '',
      `accuracy ${metricText(metrics.accuracy)}`,
      `balanced accuracy ${metricText(metrics.balanced_accuracy)}`,
    )
  if (subgroups.length > 0) {
    const header = [
      '',
      ...(task.labels.length > 1 ? ['label'] : []),
      'cases',
      'patients',
      'AUROC',
      'sensitivity',
      'specificity',
    ]
    const groups = subgroups.flatMap((group) =>
      task.labels.map((label) => {
        const { auroc, sensitivity, specificity } = group.per_label[label]!
        return [
          `${group.attribute}: ${group.value}`,
          ...(task.labels.length > 1 ? [label] : []),
          `${group.cases}`,
          `${group.patients}`,
          ...[auroc, sensitivity, specificity].map(short),
        ]
      }),
    )
    lines.push('', ...aligned([header, ...groups]))
  }
  if (evaluation.test_openings > 0)
    lines.push('', `The test split has been opened ${count(evaluation.test_openings, 'time')}.`)
  if (evaluation.warnings.length > 0) lines.push('', ...evaluation.warnings.map((warning) => `! ${warning}`))
  return lines.map(printable).join('\n')
}

function short(metric: Metric | undefined): string {
  if (!metric) return ''
  if (metric.value === null) return `– ${metric.reason}`
  if (metric.low === null || metric.high === null) return decimal(metric.value)
  return `${decimal(metric.value)} (${decimal(metric.low)}–${decimal(metric.high)})`
}

export function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, c) => Math.max(...rows.map((row) => row[c]!.length)))
  return rows.map((row) =>
    row
      .map((text, c) => text.padEnd(widths[c]!))
      .join('  ')
      .trimEnd(),
  )
}

/** Control characters in names must not move the cursor or colour the terminal. */
export function printable(line: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is replaced
  return line.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '\ufffd')
}
