import type { RunConfig, RunEvent } from '../schema/run.ts'
import { linearAxis, logAxis } from './axis.ts'
import { chart, type Series } from './chart.ts'
import { count, duration, metricName } from './format.ts'
import { type Html, html } from './html.ts'

type EventOf<T extends RunEvent['type']> = Extract<RunEvent, { type: T }>
const ofType = <T extends RunEvent['type']>(events: readonly RunEvent[], type: T) =>
  events.filter((event): event is EventOf<T> => event.type === type)

/** Points of a curve at most: more cannot be told apart at this width. */
const MOST_POINTS = 500

/** Loss, learning rate and validation metrics by step. */
export function trainingSection(events: readonly RunEvent[], run: RunConfig | undefined): Html | null {
  const steps = ofType(events, 'step')
  if (steps.length === 0) return null
  const validations = ofType(events, 'validation')
  const last = largest([...steps, ...validations].map((event) => event.step))
  const x = linearAxis(0, last, { ticks: 6, exact: true })
  const rules = ofType(events, 'resume').map(({ step }) => ({ x: step, label: 'resumed' }))
  const shared = { x, xLabel: 'step', rules, width: 500, height: 280 }
  return html`<section><h2>Training</h2><div class="charts">${lossChart(steps, validations, shared)}${metricChart(
    validations,
    run,
    shared,
  )}${rateChart(steps, run, shared)}</div></section>`
}

type Shared = Pick<Parameters<typeof chart>[0], 'x' | 'xLabel' | 'rules' | 'width' | 'height'>

function lossChart(
  steps: readonly EventOf<'step'>[],
  validations: readonly EventOf<'validation'>[],
  shared: Shared,
): Html {
  const raw = thin(steps.map((event) => [event.step, event.loss] as const))
  const smooth = thin(smoothed(steps.map((event) => [event.step, event.loss] as const)))
  const val = validations.flatMap(({ step, metrics }) =>
    typeof metrics.loss === 'number' ? [[step, metrics.loss] as const] : [],
  )
  // A few early spikes must not flatten the rest: the axis ends at the 99th percentile or the highest validation loss.
  const sorted = raw.map(([, loss]) => loss).sort((a, b) => a - b)
  const top = largest([sorted[Math.floor(0.99 * (sorted.length - 1))]!, ...val.map(([, loss]) => loss)])
  const y = linearAxis(0, top)
  const within = (points: readonly (readonly [number, number])[]) =>
    points.map(([step, loss]) => [step, Math.min(loss, y.domain[1])] as const)
  const series: Series[] = [
    { name: 'each step', points: within(raw), colour: 1, isBackground: true },
    { name: 'training, smoothed', points: within(smooth), colour: 1 },
  ]
  if (val.length > 0) series.push({ name: 'validation', points: val, colour: 2, kind: 'line with dots' })
  return chart({ ...shared, title: 'Loss', y, yLabel: 'loss', series })
}

/** Metrics that no threshold enters: the report's others are at the operating points, which training does not know. */
const RANKING_METRICS = ['auroc_mean', 'average_precision_mean']
const DECISION_METRICS = ['balanced_accuracy', 'f1_mean', 'accuracy']

/**
 * Which metrics are drawn: the one that chose the checkpoint first, then those without a threshold. Of exclusive classes
 * the highest score decides, so their accuracy is drawn too; where nothing else is defined, whatever there is.
 */
function shownMetrics(validations: readonly EventOf<'validation'>[], run: RunConfig | undefined): string[] {
  const isKnown = (name: string) => validations.some(({ metrics }) => typeof metrics[name] === 'number')
  const chosen = run === undefined || run.train.select === 'loss' ? [] : [run.train.select]
  const shown = [...chosen, ...RANKING_METRICS, ...(run?.task.exclusive ? ['balanced_accuracy'] : [])]
  const known = [...new Set(shown)].filter(isKnown)
  return known.length > 0 ? known : DECISION_METRICS.filter(isKnown)
}

/** `F1 (at 0.5)`: what training decides at, unless the highest of exclusive classes' scores decides. */
function seriesName(metric: string, run: RunConfig | undefined): string {
  const name = metricName(
    run?.task.kind === 'classify' && run.task.labels.length === 1 ? metric.replace(/_mean$/, '') : metric,
  )
  return DECISION_METRICS.includes(metric) && run?.task.exclusive !== true ? `${name} (at 0.5)` : name
}

function metricChart(
  validations: readonly EventOf<'validation'>[],
  run: RunConfig | undefined,
  shared: Shared,
): Html | null {
  const series = shownMetrics(validations, run).map((name): Series => {
    const points = validations.flatMap(({ step, metrics }) => {
      const value = metrics[name]
      return typeof value === 'number' ? [[step, value] as const] : []
    })
    return { name: seriesName(name, run), points, colour: 0, kind: 'line with dots' }
  })
  if (series.length === 0) return null
  const coloured = series.map((one, i) => ({ ...one, colour: i + 1 }))
  const values = series.flatMap(({ points }) => points.map(([, value]) => value))
  const best = validations.findLast((event) => event.is_best)
  const bestValue = best && series[0]!.points.find(([step]) => step === best.step)
  return chart({
    ...shared,
    title: 'Validation',
    y: linearAxis(smallest(values), 1),
    yLabel: series.length === 1 ? series[0]!.name : 'metric',
    series: coloured,
    marks: bestValue ? [{ x: bestValue[0], y: bestValue[1], label: 'best checkpoint', colour: 1 }] : [],
  })
}

function rateChart(steps: readonly EventOf<'step'>[], run: RunConfig | undefined, shared: Shared): Html {
  const points = thin(steps.map((event) => [event.step, event.lr] as const))
  const rates = points.map(([, lr]) => lr)
  const low = Math.min(...rates)
  // Schedules that divide the rate are straight steps on a logarithmic axis and invisible on a linear one.
  const divides = run?.train.schedule.kind === 'plateau' || run?.train.schedule.kind === 'step'
  const y = divides && low > 0 ? logAxis(low, Math.max(...rates)) : linearAxis(0, Math.max(...rates))
  return chart({
    ...shared,
    title: 'Learning rate',
    y,
    yLabel: 'learning rate',
    series: [{ name: 'learning rate', points, colour: 3 }],
  })
}

/** As Math.max and Math.min, whose arguments a run of some days would be too many of. */
const largest = (values: readonly number[]) =>
  values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
const smallest = (values: readonly number[]) =>
  values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)

/** Exponential moving average over about a fortieth of the curve, without the bias of its start. */
function smoothed(points: readonly (readonly [number, number])[]): (readonly [number, number])[] {
  const decay = 1 - 1 / Math.max(2, Math.min(50, points.length / 40))
  let sum = 0
  let weight = 0
  return points.map(([x, y]) => {
    sum = decay * sum + (1 - decay) * y
    weight = decay * weight + (1 - decay)
    return [x, sum / weight] as const
  })
}

/** Means of equally long stretches, when there are more points than can be drawn. */
function thin(points: readonly (readonly [number, number])[]): (readonly [number, number])[] {
  if (points.length <= MOST_POINTS) return [...points]
  return Array.from({ length: MOST_POINTS }, (_, i) => {
    const part = points.slice(
      Math.floor((i * points.length) / MOST_POINTS),
      Math.floor(((i + 1) * points.length) / MOST_POINTS),
    )
    const mean = (axis: 0 | 1) => part.reduce((sum, point) => sum + point[axis], 0) / part.length
    return [mean(0), mean(1)] as const
  })
}

/** Where training spent its time, summed over all starts of the run that ended by themselves. */
export function timeSection(events: readonly RunEvent[]): Html | null {
  const ends = ofType(events, 'end')
  const total = new Map<string, number>()
  for (const { seconds } of ends)
    for (const [name, value] of Object.entries(seconds)) total.set(name, (total.get(name) ?? 0) + value)
  const rows = [...total].filter(([, seconds]) => seconds > 0).sort((a, b) => b[1] - a[1])
  const sum = rows.reduce((all, [, seconds]) => all + seconds, 0)
  if (sum === 0) return null
  const starts = ofType(events, 'start').length + ofType(events, 'resume').length
  const lost = Math.max(0, starts - ends.length)
  const colour = (i: number) => (i < 4 ? `c${i + 1}` : i === 4 ? 'c0' : 'c0 faint')
  return html`<section><h2>Where the time went</h2>
<p class="soft">Training took ${duration(sum)}${ends.length > 1 && `, over ${ends.length} starts`}.${
    lost > 0 && ` What was cut off before it could end (${count(lost, 'start')}) is not counted.`
  }</p>
<div class="bar">${rows.map(
    ([name, seconds], i) =>
      html`<i class="${colour(i)}" style="width:${((100 * seconds) / sum).toFixed(2)}%" title="${name}"></i>`,
  )}</div>
<table><tbody>${rows.map(
    ([name, seconds], i) =>
      html`<tr><td><i class="swatch ${colour(i)}"></i>${name}</td><td>${duration(seconds)}</td><td>${((100 * seconds) / sum).toFixed(1)} %</td></tr>`,
  )}</tbody></table></section>`
}
