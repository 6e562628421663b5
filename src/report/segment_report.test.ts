import assert from 'node:assert/strict'
import { test } from 'node:test'
import { evaluateSegments, type SegmentCase } from '../evaluate/evaluate_segments.ts'
import { randomPair } from '../evaluate/masks_fixture.ts'
import { ABSENT, measureMasks } from '../evaluate/measure_masks.ts'
import type { SegmentEvaluation } from '../schema/evaluation_segment.ts'
import { chooseSegmentCases } from './choose_segment_cases.ts'
import type { SegmentFigure } from './segment_gallery.ts'
import { renderSegmentReport } from './segment_report.ts'
import { segmentSummaryLines, segmentTable } from './segment_table.ts'

const LABELS = { 'necrotic <core>': [1], oedema: [2], whole: [1, 2] }

function madeEvaluation(numCases: number, subgroups: string[] = []): SegmentEvaluation {
  const cases = Array.from(
    { length: numCases },
    (_, i): SegmentCase => ({
      case_id: `case-${i}`,
      patient_id: `patient-${i >> 1}`,
      attributes: { site: i % 2 ? 'north' : 'south' },
      per_label: measureMasks(randomPair(i), LABELS, 1).per_label,
    }),
  )
  return evaluateSegments(cases, {
    labels: LABELS,
    surface_tolerance_mm: 1,
    source: 'made masks',
    split: 'test',
    bootstrap: 100,
    confidence: 0.95,
    seed: 0,
    subgroups,
    test_openings: 2,
  })
}

const figure = (changes: Partial<SegmentFigure> = {}): SegmentFigure => ({
  case_id: 'case-1',
  kind: 'worst',
  dice: 0.25,
  per_label: { oedema: 0.25, whole: null },
  plane: 'axial',
  slice: 3,
  numSlices: 9,
  hasImage: false,
  png_base64: 'iVBORw0KGgo=',
  ...changes,
})

test('the report has the means with intervals, who was missed, charts, outlines and how it was measured', () => {
  const evaluation = madeEvaluation(30, ['site'])
  const page = renderSegmentReport({
    evaluation,
    title: 'brain <3',
    figures: [figure(), figure({ kind: 'best', case_id: 'case-2', dice: 0.99 })],
    synthetic: false,
  })
  const dice = evaluation.metrics.dice_mean!
  assert.ok(
    dice.value !== null && page.includes(dice.value.toFixed(3)) && page.includes(dice.low!.toFixed(3)),
  )
  for (const words of [
    'test split',
    'test split opened <b>2 times</b>',
    'brain &lt;3',
    'necrotic &lt;core&gt;',
    'surface Dice at 1 mm',
    `${evaluation.per_label.whole!.missed} missed`,
    'site: <b>north</b>',
    'HD95 of structures in both masks',
    'Dice by size of the structure',
    '<h3>Worst</h3>',
    '<h3>Best</h3>',
    'whole absent',
    'case-1, axial slice 3 of 9',
    'For research use only',
  ])
    assert.ok(page.includes(words), words)
  assert.doesNotMatch(page, /<core>|NaN|>undefined|Infinity|<script|src="http/)
})

test('the worst cases are named, with the structures that were missed or are not there', () => {
  const evaluation = madeEvaluation(30)
  const page = renderSegmentReport({ evaluation, title: 'brain', synthetic: false })
  const section = page.slice(page.indexOf('<h2>Worst cases</h2>'), page.indexOf('<h2>How this was measured'))
  const [worst] = chooseSegmentCases(evaluation)
  assert.ok(section.indexOf(worst!.case_id) > 0)
  assert.equal(section.match(/<tr><td class="word">/g)?.length, 12)
  assert.match(section, /<span class="wrong">missed<\/span><small>[\d.]+ ml/)
  assert.match(section, /12 of \d+ cases/)
})

test('synthetic data are called so, and have no headline', () => {
  const page = renderSegmentReport({ evaluation: madeEvaluation(8), title: 'phantoms', synthetic: true })
  assert.match(page, /role="alert">Synthetic data/)
  assert.doesNotMatch(page, /class="tile"/)
})

test('one case without any structure still makes a report and a table', () => {
  const per_label = Object.fromEntries(Object.keys(LABELS).map((name) => [name, ABSENT]))
  const evaluation = evaluateSegments([{ case_id: 'a', patient_id: 'a', attributes: {}, per_label }], {
    labels: LABELS,
    surface_tolerance_mm: 1,
    source: 'empty',
    split: 'all',
    bootstrap: 100,
    confidence: 0.95,
    seed: 0,
    subgroups: [],
    test_openings: 0,
  })
  assert.match(
    renderSegmentReport({ evaluation, title: 'empty', synthetic: false }),
    /in neither mask of any case/,
  )
  assert.match(segmentTable(evaluation), /oedema +0 +0 +0 +1 +– in neither mask/)
  assert.deepEqual(chooseSegmentCases(evaluation), [])
})

test('worst, median and best cases are told apart, and of few none is shown twice', () => {
  const evaluation = madeEvaluation(30)
  const chosen = chooseSegmentCases(evaluation)
  assert.deepEqual(
    chosen.map(({ kind }) => kind),
    ['worst', 'worst', 'worst', 'median', 'median', 'median', 'best', 'best', 'best'],
  )
  for (const [i, one] of chosen.entries()) if (i > 0) assert.ok(one.dice >= chosen[i - 1]!.dice)
  for (const numCases of [1, 2, 3, 4, 5, 7, 9]) {
    const ids = chooseSegmentCases(madeEvaluation(numCases)).map(({ case_id }) => case_id)
    assert.equal(new Set(ids).size, ids.length)
    assert.ok(ids.length >= Math.min(numCases, 2) - 1)
  }
})

test('the terminal table has a row a label with the cases that count; the summary of a run is short', () => {
  const evaluation = madeEvaluation(30, ['site'])
  const { found, missed, falsely_present, correctly_absent, counted, dice } = evaluation.per_label.oedema!
  assert.equal(counted, found + missed + falsely_present)
  assert.ok(dice.value !== null)
  assert.match(
    segmentTable(evaluation),
    new RegExp(
      `^oedema +${counted} +${missed} +${falsely_present} +${correctly_absent} +${dice.value.toFixed(3)} \\(`,
      'm',
    ),
  )
  const lines = segmentSummaryLines(evaluation, { synthetic: true })
  assert.match(lines[0]!, /synthetic data/)
  assert.match(lines[1]!, /mean Dice 0\.\d{3} \(.*surface Dice at 1 mm.*HD95 .* mm$/)
  assert.match(lines[2]!, /30 cases of 15 patients, \d+ of \d+ structures missed/)
})
