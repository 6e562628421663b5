import { DECISION_METRICS } from '../evaluate/confusion.ts'
import type { Confusion, Evaluation, LabelEvaluation, Metric } from '../schema/evaluation.ts'
import { linearAxis } from './axis.ts'
import { chart, intervalStrip } from './chart.ts'
import { decimal, metricName, metricText, whole } from './format.ts'
import { type Html, html } from './html.ts'

/** The few numbers to read first. Without a headline (synthetic data) they stay in the tables below. */
export function summarySection(evaluation: Evaluation, { isHeadline }: { isHeadline: boolean }): Html | null {
  if (!isHeadline) return null
  const { task, metrics } = evaluation
  const names = task.exclusive
    ? ['accuracy', 'balanced_accuracy', 'auroc_mean', 'f1_mean']
    : ['auroc_mean', 'average_precision_mean', 'sensitivity_mean', 'specificity_mean']
  const isSingle = task.labels.length === 1
  return html`<section><div class="tiles">${names.map((name) => {
    const metric = metrics[name]
    if (!metric) return null
    const title = isSingle ? metricName(name.replace(/_mean$/, '')) : metricName(name)
    return html`<div class="tile"><div class="name">${title}</div>${tileValue(metric, evaluation)}</div>`
  })}</div></section>`
}

function tileValue(metric: Metric, { bootstrap }: Evaluation): Html {
  if (metric.value === null)
    return html`<div class="value">–</div><div class="range">undefined: ${metric.reason}</div>`
  const level = `${Number((100 * bootstrap.confidence).toFixed(2))} % interval`
  const range =
    metric.low === null || metric.high === null
      ? 'no interval'
      : `${decimal(metric.low)}–${decimal(metric.high)}, ${level}`
  return html`<div class="value">${decimal(metric.value)}</div><div class="range">${range}</div>`
}

/** Columns of the table; accuracy, which prevalence decides, stays in evaluation.json. */
const DECISION_COLUMNS = DECISION_METRICS.filter((name) => name !== 'accuracy')

/** A row a label: counts, ranking metrics, and what the operating point gives. */
export function labelSection(evaluation: Evaluation): Html {
  const { task, per_label, operating_points, metrics } = evaluation
  const from = stripStart(evaluation)
  const isDecided = task.exclusive || Object.keys(operating_points).length > 0
  const decisions = isDecided ? DECISION_COLUMNS : []
  const rows = task.labels.map((label) => {
    const one = per_label[label]!
    return html`<tr><td class="word"><b>${label}</b>${thresholdLine(evaluation, label)}</td><td>${whole(
      one.positive,
    )}<small>of ${whole(one.positive + one.negative)}</small>${
      one.unknown > 0 && html`<small>${whole(one.unknown)} unknown</small>`
    }</td><td>${aurocCell(one.auroc, from)}</td><td>${cell(one.average_precision)}</td>${decisions.map(
      (name) => html`<td>${cell(one[name])}</td>`,
    )}</tr>`
  })
  const means =
    task.labels.length > 1 &&
    html`<tr><td class="word"><b>mean</b></td><td></td><td>${aurocCell(metrics.auroc_mean, from)}</td><td>${cell(
      metrics.average_precision_mean,
    )}</td>${decisions.map((name) => html`<td>${cell(metrics[`${name}_mean`])}</td>`)}</tr>`
  return html`<section><h2>By label</h2>
<p class="soft">${decisionText(evaluation)} The strip under AUROC runs from ${from} to 1.</p>
<div class="scroll"><table class="wide"><thead><tr><th>label</th><th>positive</th><th>AUROC</th><th>average<br>precision</th>${decisions.map(
    (name) => html`<th>${headerWords(metricName(name))}</th>`,
  )}</tr></thead><tbody>${rows}${means}</tbody></table></div></section>`
}

const headerWords = (name: string): Html =>
  html`${name.split(' ').map((word, i) => html`${i > 0 && html`<br>`}${word}`)}`

function thresholdLine({ operating_points, task }: Evaluation, label: string): Html | null {
  const point = operating_points[label]
  if (task.exclusive || !point) return null
  return html`<small>threshold ${point.threshold.toPrecision(4)}</small>${
    !point.attained && html`<small>rule not met; nearest</small>`
  }`
}

function decisionText({ task, operating_points }: Evaluation): string {
  if (task.exclusive)
    return 'A case is given the class with the highest score; each class is measured against the rest.'
  const points = Object.values(operating_points)
  const first = points[0]
  if (!first) return 'No operating point: nothing was called positive or negative.'
  if (!first.rule) return `Called positive at or above the threshold, which was ${first.chosen_on}.`
  const bounds = Object.entries(first.rule.subject_to).map(
    ([name, least]) => `${metricName(name)} ≥ ${least}`,
  )
  const rule = `highest ${metricName(first.rule.maximize)}${bounds.length > 0 ? ` with ${bounds.join(' and ')}` : ''}`
  return `Called positive at or above the threshold, chosen on ${chosenOn(first.chosen_on)} for the ${rule}.`
}

const chosenOn = (where: string): string => (where === 'val' ? 'the validation split' : where)

/** With a strip, which makes rows comparable at a glance. */
function aurocCell(metric: Metric | undefined, from: number): Html {
  return html`${cell(metric)}${metric && metric.value !== null && intervalStrip(metric, from)}`
}

/** Where all strips of the report start: at chance, or at 0 when any value or interval lies below. */
function stripStart({ per_label, subgroups, metrics }: Evaluation): number {
  const all = [
    ...Object.values(per_label).map((one) => one.auroc),
    ...subgroups.flatMap((group) => Object.values(group.per_label).map((one) => one.auroc)),
    ...(metrics.auroc_mean ? [metrics.auroc_mean] : []),
  ]
  return all.some((metric) => metric.value !== null && Math.min(metric.value, metric.low ?? 1) < 0.5)
    ? 0
    : 0.5
}

function cell(metric: Metric | undefined): Html | string {
  if (!metric) return '–'
  if (metric.value === null) return html`–<small class="why">${metric.reason}</small>`
  if (metric.low === null || metric.high === null)
    return html`${decimal(metric.value)}<small>no interval</small>`
  return html`${decimal(metric.value)}<small>${decimal(metric.low)}–${decimal(metric.high)}</small>`
}

/** ROC and precision-recall curve of each label, with the operating point. */
export function curvesSection(evaluation: Evaluation): Html | null {
  const drawn = evaluation.task.labels.filter((label) => evaluation.per_label[label]!.roc.length > 0)
  if (drawn.length === 0) return null
  // Many labels: two a row, drawn smaller with the same size of words.
  const size = drawn.length > 3 ? SMALL : LARGE
  return html`<section><h2>ROC and precision–recall</h2>
<div class="charts${drawn.length > 3 ? ' small' : ''}">${drawn.map((label) => [
    rocChart(label, evaluation.per_label[label]!, evaluation, size),
    prChart(label, evaluation.per_label[label]!, evaluation, size),
  ])}</div></section>`
}

const unit = () => linearAxis(0, 1, { exact: true })
const LARGE = { width: 480, height: 400 }
const SMALL = { width: 260, height: 240 }
type Size = typeof LARGE

function rocChart(label: string, one: LabelEvaluation, { task }: Evaluation, size: Size): Html {
  const { sensitivity, specificity } = one
  const isMarked = sensitivity.value !== null && specificity.value !== null
  return chart({
    ...size,
    title: `${label}: ROC, AUROC ${metricText(one.auroc)}`,
    x: unit(),
    y: unit(),
    xLabel: '1 − specificity',
    yLabel: 'sensitivity',
    series: [
      {
        name: 'chance',
        points: [
          [0, 0],
          [1, 1],
        ],
        colour: 0,
        isBackground: true,
      },
      { name: 'ROC', points: one.roc, colour: 1 },
    ],
    marks: isMarked
      ? [
          {
            x: 1 - specificity.value,
            y: sensitivity.value,
            label: task.exclusive ? 'highest score' : 'operating point',
            colour: 2,
          },
        ]
      : [],
  })
}

function prChart(label: string, one: LabelEvaluation, { task }: Evaluation, size: Size): Html {
  const prevalence = one.positive / (one.positive + one.negative)
  const { sensitivity, precision } = one
  const isMarked = sensitivity.value !== null && precision.value !== null
  return chart({
    ...size,
    title: `${label}: precision–recall, AP ${metricText(one.average_precision)}`,
    x: unit(),
    y: unit(),
    xLabel: 'recall (sensitivity)',
    yLabel: 'precision',
    series: [
      {
        name: 'prevalence',
        points: [
          [0, prevalence],
          [1, prevalence],
        ],
        colour: 0,
        isBackground: true,
      },
      { name: 'precision–recall', points: one.pr, colour: 1 },
    ],
    notes: [{ x: 0.02, y: prevalence, text: `prevalence ${prevalence.toFixed(2)}` }],
    marks: isMarked
      ? [
          {
            x: sensitivity.value,
            y: precision.value,
            label: task.exclusive ? 'highest score' : 'operating point',
            colour: 2,
          },
        ]
      : [],
  })
}

/** Counts of truth against decision: one matrix for multi-class, else one a label. */
export function confusionSection({ task, per_label, confusion_matrix }: Evaluation): Html | null {
  const matrices = confusion_matrix
    ? [matrix('', confusion_matrix.labels, confusion_matrix.counts)]
    : task.labels.flatMap((label) => {
        const counts = per_label[label]!.confusion
        return counts ? [matrix(label, ['absent', 'present'], twoByTwo(counts))] : []
      })
  if (matrices.length === 0) return null
  return html`<section><h2>Confusion ${matrices.length === 1 ? 'matrix' : 'matrices'}</h2>
<p class="soft">Rows are the truth, columns what was called; percentages are of the row.</p>
<div class="matrices">${matrices}</div></section>`
}

const twoByTwo = ({ tp, fp, tn, fn }: Confusion): number[][] => [
  [tn, fp],
  [fn, tp],
]

function matrix(title: string, names: readonly string[], counts: readonly (readonly number[])[]): Html {
  return html`<div class="scroll">${title !== '' && html`<h3>${title}</h3>`}<table class="matrix"><thead><tr><th>truth ↓ called →</th>${names.map(
    (name) => html`<th scope="col">${name}</th>`,
  )}</tr></thead><tbody>${counts.map((row, r) => {
    const total = row.reduce((a, b) => a + b, 0)
    return html`<tr><th scope="row">${names[r]}</th>${row.map((n) => {
      const share = total === 0 ? 0 : n / total
      return html`<td style="--share:${share.toFixed(3)}">${whole(n)}<small>${(100 * share).toFixed(1)} %</small></td>`
    })}</tr>`
  })}</tbody></table></div>`
}

/** A row a group and label. */
export function subgroupSection(evaluation: Evaluation): Html | null {
  const { subgroups, task } = evaluation
  if (subgroups.length === 0) return null
  const from = stripStart(evaluation)
  const isSingle = task.labels.length === 1
  return html`<section><h2>Subgroups</h2>
<p class="soft">Thresholds are the same for all groups. Small groups have wide intervals: compare the intervals, not the values.</p>
<div class="scroll"><table class="wide"><thead><tr><th>group</th>${!isSingle && html`<th>label</th>`}<th>cases</th><th>patients</th><th>AUROC</th><th>sensitivity</th><th>specificity</th></tr></thead><tbody>${subgroups.map(
    (group) =>
      task.labels.map((label, l) => {
        const one = group.per_label[label]!
        return html`<tr><td class="word">${l === 0 && html`${group.attribute}: <b>${group.value}</b>`}</td>${!isSingle && html`<td class="word">${label}</td>`}<td>${l === 0 && whole(group.cases)}</td><td>${l === 0 && whole(group.patients)}</td><td>${aurocCell(one.auroc, from)}</td><td>${cell(one.sensitivity)}</td><td>${cell(one.specificity)}</td></tr>`
      }),
  )}</tbody></table></div></section>`
}
