import { unitsOf } from '../evaluate/units.ts'
import type { Metric } from '../schema/evaluation.ts'
import type { SegmentEvaluation, StructureEvaluation } from '../schema/evaluation_segment.ts'
import { intervalStrip } from './chart.ts'
import { decimal, metricName, threeDigits, whole } from './format.ts'
import { type Html, html } from './html.ts'

const SHOWN = [
  ['dice', decimal],
  ['surface_dice', decimal],
  ['hd95_mm', threeDigits],
] as const

/** The few numbers to read first. Without a headline (synthetic data) they stay in the tables below. */
export function segmentSummarySection(
  evaluation: SegmentEvaluation,
  { isHeadline }: { isHeadline: boolean },
): Html | null {
  if (!isHeadline) return null
  const { metrics, per_label, bootstrap } = evaluation
  const structures = Object.values(per_label)
  const total = (of: (one: StructureEvaluation) => number) =>
    structures.reduce((sum, one) => sum + of(one), 0)
  const missed = total((one) => one.missed)
  const present = total((one) => one.found + one.missed)
  const level = `${Number((100 * bootstrap.confidence).toFixed(2))} % interval`
  return html`<section><div class="tiles">${SHOWN.map(([key, digits]) => {
    const metric = metrics[`${key}_mean`]
    if (!metric) return null
    return html`<div class="tile"><div class="name">${structures.length > 1 && 'mean '}${named(key, evaluation)}</div>${
      metric.value === null
        ? html`<div class="value">–</div><div class="range">undefined: ${metric.reason}</div>`
        : html`<div class="value">${digits(metric.value)}${key === 'hd95_mm' && ` ${unitsOf(evaluation).length}`}</div><div class="range">${
            metric.low === null || metric.high === null
              ? 'no interval'
              : `${digits(metric.low)}–${digits(metric.high)}, ${level}`
          }</div>`
    }</div>`
  })}<div class="tile"><div class="name">missed structures</div><div class="value">${whole(missed)}</div><div class="range">of ${whole(
    present,
  )}; ${whole(total((one) => one.falsely_present))} falsely present</div></div></div></section>`
}

/** `surface Dice at 1 mm`. */
function named(key: string, evaluation: SegmentEvaluation): string {
  return key === 'surface_dice'
    ? `surface Dice at ${evaluation.surface_tolerance_mm} ${unitsOf(evaluation).length}`
    : metricName(key)
}

/** A row a label: the cases that count, and the means over them. */
export function segmentLabelSection(evaluation: SegmentEvaluation): Html {
  const { per_label, metrics, surface_tolerance_mm } = evaluation
  const { length, volume } = unitsOf(evaluation)
  const labels = Object.entries(per_label)
  const rows = labels.map(
    ([label, one]) =>
      html`<tr><td class="word"><b>${label}</b></td><td>${whole(one.counted)}${caseLines(one)}</td>${SHOWN.map(
        ([key, digits]) => html`<td>${cell(one[key], digits)}${strip(key, one[key])}</td>`,
      )}<td>${cell(one.volume_error_ml, signed)}</td><td>${cell(one.absolute_volume_error_ml, threeDigits)}</td><td>${cell(
        one.volume_error_relative,
        percent,
      )}</td></tr>`,
  )
  const means =
    labels.length > 1 &&
    html`<tr><td class="word"><b>mean</b></td><td></td>${SHOWN.map(
      ([key, digits]) =>
        html`<td>${cell(metrics[`${key}_mean`], digits)}${strip(key, metrics[`${key}_mean`])}</td>`,
    )}<td></td><td></td><td></td></tr>`
  return html`<section><h2>By label</h2>
<p class="soft">Means over the cases that have the structure in either mask. The strips run from 0 to 1.</p>
<div class="scroll"><table class="wide"><thead><tr><th>label</th><th>cases</th><th>Dice</th><th>surface Dice<br>at ${surface_tolerance_mm} ${length}</th><th>HD95<br>${length}</th><th>volume error<br>${volume}</th><th>absolute<br>${volume}</th><th>relative<br>%</th></tr></thead><tbody>${rows}${means}</tbody></table></div></section>`
}

function caseLines(one: StructureEvaluation): Html {
  const lines = [
    [one.missed, 'missed'],
    [one.falsely_present, 'falsely present'],
    [one.correctly_absent, 'rightly absent'],
  ] as const
  return html`${lines.map(([n, word]) => n > 0 && html`<small>${word === 'rightly absent' && '+ '}${whole(n)} ${word}</small>`)}`
}

function strip(key: string, metric: Metric | undefined): Html | null {
  return key === 'hd95_mm' || !metric || metric.value === null ? null : intervalStrip(metric, 0)
}

const signed = (value: number): string => `${value > 0 ? '+' : ''}${threeDigits(value)}`
const percent = (value: number): string => signed(100 * value)

function cell(metric: Metric | undefined, digits: (value: number) => string): Html | string {
  if (!metric) return '–'
  if (metric.value === null) return html`–<small class="why">${metric.reason}</small>`
  if (metric.low === null || metric.high === null)
    return html`${digits(metric.value)}<small>no interval</small>`
  // Signs make a dash between numbers hard to read.
  const to = digits(metric.low).startsWith('−') || digits === signed || digits === percent ? ' to ' : '–'
  return html`${digits(metric.value)}<small>${digits(metric.low)}${to}${digits(metric.high)}</small>`
}

/** A row a group and label. */
export function segmentSubgroupSection(evaluation: SegmentEvaluation): Html | null {
  const { subgroups, per_label } = evaluation
  if (subgroups.length === 0) return null
  const labels = Object.keys(per_label)
  const isSingle = labels.length === 1
  return html`<section><h2>Subgroups</h2>
<p class="soft">Small groups have wide intervals: compare the intervals, not the values.</p>
<div class="scroll"><table class="wide"><thead><tr><th>group</th>${!isSingle && html`<th>label</th>`}<th>cases</th><th>patients</th><th>Dice</th><th>surface Dice</th><th>HD95<br>${unitsOf(evaluation).length}</th></tr></thead><tbody>${subgroups.map(
    (group) =>
      labels.map((label, l) => {
        const one = group.per_label[label]!
        return html`<tr><td class="word">${l === 0 && html`${group.attribute}: <b>${group.value}</b>`}</td>${!isSingle && html`<td class="word">${label}</td>`}<td>${whole(one.counted)}<small>of ${whole(group.cases)}</small></td><td>${l === 0 && whole(group.patients)}</td>${SHOWN.map(
          ([key, digits]) => html`<td>${cell(one[key], digits)}${strip(key, one[key])}</td>`,
        )}</tr>`
      }),
  )}</tbody></table></div></section>`
}

/** How the numbers were computed, in words. */
export function segmentMethodSection(evaluation: SegmentEvaluation): Html {
  const { bootstrap, surface_tolerance_mm, split, test_openings, distance_unit } = evaluation
  const { resamples, confidence, clusters, seed } = bootstrap
  const { inference } = evaluation
  return html`<section><h2>How this was measured</h2>
${
  inference &&
  html`<p>Masks were made ${inference.mirror.length > 0 ? `averaging over inputs mirrored along ${inference.mirror.join(', ')}` : 'without mirroring'}, ${
    inference.largest_component.length > 0
      ? `keeping the largest piece only of ${inference.largest_component.join(', ')}`
      : 'keeping all pieces'
  }.${inference.reasons.length > 0 && ` Chosen on validation (${inference.reasons.join('; ')}).`}</p>`
}
<p>Dice counts voxels. Surface Dice is the share of both surfaces' area within ${surface_tolerance_mm} ${unitsOf(evaluation).length} of the other surface; HD95 is the distance
within which 95 % of a surface's area lies, in the direction where that is more. Surfaces run between voxels and are weighted by area.${
    distance_unit === 'px' &&
    ' These images are 2D and know no millimetres: all lengths are pixels, and surfaces are contours, weighted by length.'
  }</p>
<p>A structure in one mask only has Dice and surface Dice 0, and the image's diagonal as HD95: leaving it out never improves a mean.
A structure in neither mask is rightly absent and counted apart. The volume error is the prediction minus the reference; signed means cancel, absolute ones do not.</p>
<p>Intervals are ${Number((100 * confidence).toFixed(2))} % percentile intervals over ${whole(resamples)} bootstrap resamples of whole ${clusters}s (seed ${seed}).
A metric that is undefined in more than 5 % of resamples, or the same in all of them, has no interval.
${split === 'test' && test_openings > 0 && `This test split has been opened ${test_openings} ${test_openings === 1 ? 'time' : 'times'} by this run: every further look weakens it as evidence.`}</p></section>`
}
