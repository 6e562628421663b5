import type { Axis } from './axis.ts'
import { type Html, html } from './html.ts'
import { dense, placeMarkLabel } from './mark_label.ts'

export interface Series {
  name: string
  points: readonly (readonly [number, number])[]
  /** Colour of the palette, 1 to 4, or 0 for grey. */
  colour: number
  kind?: 'line' | 'dots' | 'line with dots'
  /** Thin and pale: raw values behind a smoothed line, cases behind their median. Not in the legend. */
  isBackground?: boolean
  isDashed?: boolean
}

export interface Chart {
  title: string
  x: Axis
  y: Axis
  xLabel: string
  yLabel: string
  series: readonly Series[]
  /** Points with a ring and a label beside them. */
  marks?: readonly { x: number; y: number; label: string; colour: number }[]
  /** Words in the plot, starting at a point. */
  notes?: readonly { x: number; y: number; text: string }[]
  /** Vertical lines across the plot. */
  rules?: readonly { x: number; label: string }[]
  /** False: colours are explained elsewhere. True unless given. */
  hasLegend?: boolean
  width?: number
  height?: number
}

const LINE_HEIGHT = 14
const MARGIN = { right: 14, top: 10, bottom: 40 }
/** Room of the upright axis' title, and of a character beside it. */
const TITLE_WIDTH = 30
const CHARACTER_WIDTH = 7.2

/** A chart as SVG: axes with round ticks, a legend when there is more than one named series. Colours follow the page. */
export function chart(spec: Chart): Html {
  const { width = 460, height = 260 } = spec
  const longest = Math.max(...spec.y.ticks.map(({ label }) => label.length))
  const left = Math.max(52, Math.ceil(TITLE_WIDTH + longest * CHARACTER_WIDTH))
  const plotWidth = width - left - MARGIN.right
  const plotHeight = height - MARGIN.top - MARGIN.bottom
  const px = (x: number) => round(left + spec.x.place(x) * plotWidth)
  const py = (y: number) => round(MARGIN.top + (1 - spec.y.place(y)) * plotHeight)
  const bottom = MARGIN.top + plotHeight
  const right = left + plotWidth
  const curves = spec.series.map(({ points }) => dense(points.map(([x, y]) => [px(x), py(y)] as const)))
  const plot = { left, right, top: MARGIN.top, bottom }
  const marks = (spec.marks ?? []).map((mark) => ({
    ...mark,
    place: placeMarkLabel([px(mark.x), py(mark.y)], mark.label, curves, plot),
  }))
  const named = spec.series.filter((series) => !series.isBackground)
  return html`<figure class="chart">
<figcaption>${spec.title}</figcaption>
<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${`${spec.title}: ${spec.yLabel} by ${spec.xLabel}`}">
<g class="grid">${spec.y.ticks.map(({ value }) => line(left, py(value), right, py(value)))}${spec.x.ticks.map(
    ({ value }) => line(px(value), MARGIN.top, px(value), bottom),
  )}</g>
<g class="ticks">${spec.y.ticks.map(
    ({ value, label }) =>
      html`<text x="${left - 7}" y="${round(py(value) + 3.5)}" text-anchor="end">${label}</text>`,
  )}${spec.x.ticks.map(
    ({ value, label }) =>
      html`<text x="${px(value)}" y="${bottom + 15}" text-anchor="middle">${label}</text>`,
  )}</g>
<g class="axis">${line(left, bottom, right, bottom)}${line(left, MARGIN.top, left, bottom)}</g>
<text class="axis-label" x="${round((left + right) / 2)}" y="${height - 6}" text-anchor="middle">${spec.xLabel}</text>
<text class="axis-label" transform="translate(12 ${round((MARGIN.top + bottom) / 2)}) rotate(-90)" text-anchor="middle">${spec.yLabel}</text>
${(spec.rules ?? []).map(
  ({ x, label }) =>
    html`<g class="rule">${line(px(x), MARGIN.top, px(x), bottom)}<text x="${px(x) + 4}" y="${MARGIN.top + 11}">${label}</text></g>`,
)}${spec.series.map((series) => seriesPath(series, px, py))}${(spec.notes ?? []).map(
  ({ x, y, text }) =>
    html`<text class="note" x="${px(x)}" y="${round(
      clearOf(
        py(y) - 5,
        marks.map(({ place }) => place.y),
      ),
    )}">${text}</text>`,
)}${marks.map(
  ({ x, y, label, colour, place }) =>
    html`<g class="mark c${colour}"><circle cx="${px(x)}" cy="${py(y)}" r="5"/><text x="${round(place.x)}" y="${round(place.y)}" text-anchor="${place.anchor}">${label}</text></g>`,
)}</svg>${
    named.length > 1 &&
    spec.hasLegend !== false &&
    html`<ul class="legend">${named.map(
      (series) =>
        html`<li><svg viewBox="0 0 22 10" aria-hidden="true">${
          series.kind === 'dots'
            ? html`<circle class="dot c${series.colour}" cx="11" cy="5" r="3"/>`
            : html`<path class="line c${series.colour}${series.isDashed ? ' dashed' : ''}" d="M1 5H21"/>`
        }</svg>${series.name}</li>`,
    )}</ul>`
  }</figure>`
}

/** Moves a line of words up, or at the top down, until it is not printed over a mark's label. */
function clearOf(y: number, labels: readonly number[]): number {
  const near = labels.find((label) => Math.abs(label - y) < LINE_HEIGHT)
  if (near === undefined) return y
  return near - LINE_HEIGHT > MARGIN.top + 8 ? near - LINE_HEIGHT : near + LINE_HEIGHT
}

function seriesPath(series: Series, px: (x: number) => number, py: (y: number) => number): Html {
  const { points, colour, kind = 'line' } = series
  const path = points.map(([x, y], i) => `${i === 0 ? 'M' : 'L'}${px(x)} ${py(y)}`).join('')
  const style = `line c${colour}${series.isBackground ? ' pale' : ''}${series.isDashed ? ' dashed' : ''}`
  return html`${kind !== 'dots' && html`<path class="${style}" d="${path}"/>`}${
    kind !== 'line' &&
    points.map(
      ([x, y]) =>
        html`<circle class="dot c${colour}${series.isBackground ? ' pale' : ''}" cx="${px(x)}" cy="${py(y)}" r="3"/>`,
    )
  }`
}

/** A metric with its interval on a strip from `from` to 1. */
export function intervalStrip(
  metric: { value: number; low: number | null; high: number | null },
  from: number,
): Html {
  const at = (value: number) => round(2 + (92 * (value - from)) / (1 - from))
  const { value, low, high } = metric
  return html`<svg class="strip" viewBox="0 0 96 10" aria-hidden="true"><path class="track" d="M2 5H94M2 2V8M94 2V8"/>${
    low !== null && high !== null && html`<path class="range" d="M${at(low)} 5H${at(high)}"/>`
  }<path class="value" d="M${at(value)} 0V10"/></svg>`
}

const line = (x1: number, y1: number, x2: number, y2: number): Html =>
  html`<path d="M${round(x1)} ${round(y1)}L${round(x2)} ${round(y2)}"/>`

const round = (value: number): number => Math.round(value * 10) / 10
