import { unitsOf } from '../evaluate/units.ts'
import type { SegmentEvaluation, StructureMetrics } from '../schema/evaluation_segment.ts'
import { rankedCases } from './choose_segment_cases.ts'
import { count, decimal, threeDigits } from './format.ts'
import { type Html, html } from './html.ts'

const MOST_CASES = 12
/** More labels than this make a table too wide to read. */
const MOST_LABELS = 6

/** The worst cases by name: what each structure got, and which were missed. */
export function segmentCasesSection(evaluation: SegmentEvaluation): Html | null {
  const { per_case, per_label } = evaluation
  const units = unitsOf(evaluation)
  const ranked = rankedCases(per_case)
  if (ranked.length < 2) return null
  const all = Object.keys(per_label)
  const labels = all.slice(0, MOST_LABELS)
  const byId = new Map(per_case.map((one) => [one.case_id, one.per_label]))
  const shown = ranked.slice(0, MOST_CASES)
  const isSingle = all.length === 1
  return html`<section><h2>Worst cases</h2>
<p class="soft">By the mean Dice of their labels${
    shown.length < ranked.length && `, ${shown.length} of ${count(ranked.length, 'case')}`
  }; Dice, and HD95 in ${units.length} below it.${
    labels.length < all.length && ` The first ${labels.length} of ${all.length} labels.`
  } All cases stand in evaluation.json.</p>
<div class="scroll"><table><thead><tr><th>case</th>${!isSingle && html`<th>mean</th>`}${labels.map(
    (label) => html`<th>${label}</th>`,
  )}</tr></thead><tbody>${shown.map(
    ({ case_id, dice }) =>
      html`<tr><td class="word">${case_id}</td>${!isSingle && html`<td>${decimal(dice)}</td>`}${labels.map(
        (label) => html`<td>${cell(byId.get(case_id)![label]!, units)}</td>`,
      )}</tr>`,
  )}</tbody></table></div></section>`
}

function cell(
  { outcome, dice, hd95_mm, reference_ml, prediction_ml }: StructureMetrics,
  { length, volume }: ReturnType<typeof unitsOf>,
): Html {
  if (outcome === 'missed')
    return html`<span class="wrong">missed</span><small>${threeDigits(reference_ml)} ${volume}</small>`
  if (outcome === 'falsely_present')
    return html`<span class="wrong">falsely present</span><small>${threeDigits(prediction_ml)} ${volume}</small>`
  if (outcome === 'correctly_absent') return html`<small>rightly absent</small>`
  return html`${decimal(dice!)}<small>${threeDigits(hd95_mm!)} ${length}</small>`
}
