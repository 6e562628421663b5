import { quantile } from '../evaluate/interval.ts'
import { unitsOf } from '../evaluate/units.ts'
import type { SegmentEvaluation, StructureMetrics } from '../schema/evaluation_segment.ts'
import { type Axis, linearAxis, logAxis } from './axis.ts'
import { chart, type Series } from './chart.ts'
import { type Html, html } from './html.ts'

/** More labels than this have no room side by side. */
const MOST_LABELS = 12
/** A label's place is 1 wide; its cases take up this much of it. */
const SPREAD = 0.5
const SIZE = { width: 520, height: 320 }
const BOXES = { ...SIZE, hasLegend: false }

interface Points {
  label: string
  metrics: StructureMetrics[]
}

/** How the cases lie: Dice and HD95 of each, by label, and Dice by the structure's size. */
export function segmentChartsSection(evaluation: SegmentEvaluation): Html | null {
  const all = Object.keys(evaluation.per_label)
  const shown = all.slice(0, MOST_LABELS).map(
    (label): Points => ({
      label,
      metrics: evaluation.per_case
        .map(({ per_label }) => per_label[label]!)
        .filter(({ outcome }) => outcome !== 'correctly_absent'),
    }),
  )
  if (shown.every(({ metrics }) => metrics.length === 0)) return null
  const { length, volume } = unitsOf(evaluation)
  return html`<section><h2>Over cases</h2>
<p class="soft">A dot is a case, orange where only one mask has the structure. The box holds the middle half of them, its line is the median.${
    all.length > shown.length && ` The first ${shown.length} of ${all.length} labels.`
  }</p>
<div class="charts">${diceChart(shown)}${distanceChart(shown, length)}${sizeChart(shown, volume)}</div></section>`
}

function diceChart(shown: readonly Points[]): Html {
  return chart({
    ...BOXES,
    title: 'Dice',
    x: labelAxis(shown),
    y: linearAxis(0, 1, { exact: true }),
    xLabel: '',
    yLabel: 'Dice',
    series: shown.flatMap(({ metrics }, l) => {
      const isFound = metrics.map(({ outcome }) => outcome === 'found')
      return boxAndDots(
        l,
        metrics.map(({ dice }) => dice!),
        isFound,
      )
    }),
  })
}

function distanceChart(shown: readonly Points[], unit: string): Html | null {
  const found = shown.map(({ label, metrics }) => ({
    label,
    metrics: metrics.filter(({ outcome }) => outcome === 'found'),
  }))
  const values = found.flatMap(({ metrics }) => metrics.map(({ hd95_mm }) => hd95_mm!))
  if (values.length === 0) return null
  const numLeftOut = shown.reduce((sum, { metrics }) => sum + metrics.length, 0) - values.length
  return chart({
    ...BOXES,
    title: `HD95 of structures in both masks${numLeftOut > 0 ? `; ${numLeftOut} in one only are not drawn` : ''}`,
    x: labelAxis(shown),
    y: linearAxis(0, Math.max(...values)),
    xLabel: '',
    yLabel: `HD95 in ${unit}`,
    series: found.flatMap(({ metrics }, l) =>
      boxAndDots(
        l,
        metrics.map(({ hd95_mm }) => hd95_mm!),
        metrics.map(() => true),
      ),
    ),
  })
}

/** Small structures are harder: one voxel more or less weighs more. */
function sizeChart(shown: readonly Points[], unit: string): Html | null {
  const present = shown.flatMap(({ metrics }) => metrics.filter(({ reference_ml }) => reference_ml > 0))
  const volumes = present.map(({ reference_ml }) => reference_ml)
  if (new Set(volumes).size < 2) return null
  const [low, high] = [Math.min(...volumes), Math.max(...volumes)]
  return chart({
    ...SIZE,
    title: 'Dice by size of the structure',
    x: high > 20 * low ? logAxis(low, high) : linearAxis(low, high),
    y: linearAxis(0, 1, { exact: true }),
    xLabel: `reference in ${unit}`,
    yLabel: 'Dice',
    series: shown.slice(0, 4).map(
      ({ label, metrics }, l): Series => ({
        name: label,
        kind: 'dots',
        colour: l + 1,
        points: metrics
          .filter(({ reference_ml }) => reference_ml > 0)
          .map(({ reference_ml, dice }) => [reference_ml, dice!] as const),
      }),
    ),
  })
}

function labelAxis(shown: readonly Points[]): Axis {
  const n = shown.length
  // Words side by side: the more labels, the fewer letters each.
  const most = Math.max(3, Math.floor(60 / n))
  return {
    domain: [-0.5, n - 0.5],
    ticks: shown.map(({ label }, l) => ({
      value: l,
      label: label.length <= most ? label : `${label.slice(0, most - 1)}…`,
    })),
    place: (value) => (value + 0.5) / n,
  }
}

/** The dots of one label, spread out by their rank, and a box around the middle half. */
function boxAndDots(l: number, values: readonly number[], isFound: readonly boolean[]): Series[] {
  if (values.length === 0) return []
  // Neighbours in value lie far apart across: a low-discrepancy sequence by rank.
  const order = [...values.keys()].sort((a, b) => values[a]! - values[b]!)
  const across = new Map(order.map((i, rank) => [i, l + SPREAD * (((rank * 0.618034) % 1) - 0.5)]))
  const dots = (wanted: boolean): (readonly [number, number])[] =>
    [...values.keys()].filter((i) => isFound[i] === wanted).map((i) => [across.get(i)!, values[i]!])
  const sorted = [...values].sort((a, b) => a - b)
  const [low, middle, high] = [0.25, 0.5, 0.75].map((p) => quantile(sorted, p)) as [number, number, number]
  const [left, right] = [l - SPREAD * 0.62, l + SPREAD * 0.62]
  const background = { colour: 1, isBackground: true } as const
  return [
    { name: 'cases', kind: 'dots', points: dots(true), ...background },
    { name: 'missed or falsely present', kind: 'dots', points: dots(false), colour: 2, isBackground: true },
    {
      name: 'middle half',
      colour: 0,
      points: [
        [left, low],
        [right, low],
        [right, high],
        [left, high],
        [left, low],
      ],
    },
    {
      name: 'median',
      colour: 1,
      points: [
        [left, middle],
        [right, middle],
      ],
    },
  ]
}
