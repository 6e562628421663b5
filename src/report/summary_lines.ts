import type { Evaluation } from '../schema/evaluation.ts'
import { count, metricName, metricText } from './format.ts'
import { printable } from './terminal_table.ts'

/**
 * The evaluation of a run on validation in few lines: values with intervals, on how many cases, and its warnings. Of
 * synthetic data only how well cases are ranked, called synthetic first.
 */
export function summaryLines(evaluation: Evaluation, { synthetic }: { synthetic: boolean }): string[] {
  const { task, metrics, per_label, cases, patients, bootstrap, warnings } = evaluation
  const isSingle = task.labels.length === 1
  const ranked = ['auroc_mean', 'average_precision_mean']
  const decided = task.exclusive
    ? ['accuracy', 'balanced_accuracy']
    : ['sensitivity_mean', 'specificity_mean']
  const values = (synthetic ? ranked : [...ranked, ...decided]).map(
    (key) => `${metricName(isSingle ? key.replace(/_mean$/, '') : key)} ${metricText(metrics[key])}`,
  )
  const positive = isSingle
    ? `, ${per_label[task.labels[0]!]!.positive} positive`
    : `, ${task.labels.length} ${task.exclusive ? 'classes' : 'labels'}`
  const of = bootstrap.clusters === 'patient' ? ` of ${count(patients, 'patient')}` : ''
  const [first, ...more] = [
    ...(synthetic ? ['synthetic data, which say nothing about patients'] : []),
    values.join(', '),
    `${count(cases, 'case')}${of}${positive} (chose the checkpoint: optimistic)`,
    ...warnings.map((warning) => `! ${warning}`),
  ]
  return [`validation  ${first}`, ...more.map((line) => `            ${line}`)].map(printable)
}
