import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { evaluatePredictions } from '../evaluate/evaluate.ts'
import { madePredictions, optionsFor } from '../evaluate/predictions_fixture.ts'
import type { Evaluation } from '../schema/evaluation.ts'
import type { Prediction } from '../schema/prediction.ts'
import { RunConfig, type RunEvent } from '../schema/run.ts'
import { linearAxis, logAxis } from './axis.ts'
import { chooseCases } from './choose_cases.ts'
import { duration } from './format.ts'
import { html } from './html.ts'
import { dense, placeMarkLabel } from './mark_label.ts'
import { renderReport } from './report.ts'
import { evaluationTable } from './terminal_table.ts'
import { trainingSection } from './training.ts'

const HOSTILE = `<script>alert(1)</script>"'&\u202e\u001b[31m`
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=='

function made(labels: readonly string[], changes: Partial<Parameters<typeof madePredictions>[0]> = {}) {
  return madePredictions({ cases: 120, patients: 60, labels, seed: 1, signal: 2, ...changes })
}

function evaluated(predictions: Prediction[], labels: readonly string[], more = {}): Evaluation {
  return evaluatePredictions(predictions, optionsFor(labels, { bootstrap: 100, subgroups: ['sex'], ...more }))
}

function imagesOf(predictions: Prediction[], evaluation: Evaluation) {
  return chooseCases(predictions, evaluation).map(({ prediction, label, kind }) => ({
    case_id: prediction.case_id,
    label,
    kind,
    png_base64: PIXEL,
    truth: prediction.labels,
    scores: prediction.scores,
  }))
}

const EVENTS: RunEvent[] = [
  ...Array.from(
    { length: 40 },
    (_, i): RunEvent => ({
      type: 'step',
      step: i + 1,
      epoch: i / 20,
      loss: 1 / (i + 1),
      lr: 1e-3,
      samples_per_second: 100,
      data_wait_fraction: 0.001,
      time: i,
    }),
  ),
  {
    type: 'validation',
    step: 20,
    epoch: 1,
    metrics: { loss: 0.5, auroc_mean: 0.9, f1_mean: null },
    is_best: true,
    seconds: 1,
    time: 20,
  },
  {
    type: 'end',
    step: 40,
    status: 'finished',
    message: null,
    seconds: { forward: 20, backward: 60, data: 1.5, other: 0 },
    time: 40,
  },
]

test('a run of days is drawn: its steps are too many to be arguments of one call', () => {
  const predictions = made(['nodule'])
  const step = EVENTS.find((event) => event.type === 'step')!
  const events = Array.from({ length: 200_000 }, (_, i): RunEvent => ({ ...step, step: i + 1 }))
  const page = renderReport({
    title: 'long',
    evaluation: evaluated(predictions, ['nodule']),
    events,
    synthetic: false,
    warnings: [],
  })
  assert.match(page, /Training/)
})

test('the validation curve shows what no threshold enters, and says of a metric chosen at 0.5 that it is', async () => {
  const example = join(import.meta.dirname, '../schema/examples/run/valid/timm.json')
  const run = RunConfig.parse(JSON.parse(await readFile(example, 'utf8')))
  const metrics = { loss: 0.5, auroc_mean: 0.9, average_precision_mean: 0.8, f1_mean: 0.3, accuracy: 0.7 }
  const events = EVENTS.map((event) => (event.type === 'validation' ? { ...event, metrics } : event))
  const drawn = (select: RunConfig['train']['select'], exclusive = false) => {
    const config = { ...run, train: { ...run.train, select }, task: { ...run.task, exclusive } }
    return String(trainingSection(events, config)?.text)
  }
  assert.match(drawn('auroc_mean'), /AUROC[\s\S]*average precision/)
  assert.doesNotMatch(drawn('auroc_mean'), /F1|accuracy/)
  assert.match(drawn('f1_mean'), /F1 \(at 0\.5\)/)
  assert.doesNotMatch(drawn('f1_mean', true), /at 0\.5/)
})

test('the report asks nothing of anyone: no script, no link, no request', () => {
  const predictions = made(['nodule'])
  const evaluation = evaluated(predictions, ['nodule'])
  const page = renderReport({
    evaluation,
    title: 'run',
    events: EVENTS,
    images: imagesOf(predictions, evaluation),
    synthetic: false,
  })
  assert.doesNotMatch(page, /<script|<link|<iframe|<object|@import|https?:|\/\/[a-z]|\bon[a-z]+=|srcset/i)
  for (const [, source] of page.matchAll(/(?:src|href)="([^"]*)"/g))
    assert.match(source!, /^data:image\/png;base64,/)
  assert.match(page, /Content-Security-Policy" content="default-src 'none'/)
  assert.doesNotMatch(page, /url\(/)
})

test('every part is there: numbers, curves, matrix, images, training, time, method', () => {
  const predictions = made(['nodule', 'mass'])
  const evaluation = evaluated(predictions, ['nodule', 'mass'])
  const images = imagesOf(predictions, evaluation)
  const page = renderReport({ evaluation, title: 'run', events: EVENTS, images, synthetic: false })
  const headings = [...page.matchAll(/<h2>([^<]*)<\/h2>/g)].map(([, text]) => text)
  assert.deepEqual(headings, [
    'By label',
    'ROC and precision–recall',
    'Confusion matrices',
    'Subgroups',
    'Cases',
    'Training',
    'Where the time went',
    'How this was measured',
  ])
  for (const words of [
    'operating point',
    'truth <b>nodule present',
    'Learning rate',
    'backward',
    '73.6 %',
    'research use',
  ])
    assert.ok(page.includes(words), words)
  const { value, low, high } = evaluation.per_label.nodule!.auroc as {
    value: number
    low: number
    high: number
  }
  assert.ok(page.includes(`${value.toFixed(3)} (${low.toFixed(3)}–${high.toFixed(3)})`))
})

test('names from the data cannot become markup, wherever they stand', () => {
  const label = `${HOSTILE}label`
  const predictions = made([label])
  for (const [i, p] of predictions.entries()) {
    p.case_id = `${HOSTILE}${i}`
    p.attributes.sex = `${HOSTILE}group${i % 2}`
  }
  const evaluation = evaluated(predictions, [label], {
    source: `${HOSTILE}source`,
    warnings: [`${HOSTILE}warning`],
  })
  const page = renderReport({
    evaluation,
    title: `${HOSTILE}title`,
    images: imagesOf(predictions, evaluation),
    synthetic: true,
    warnings: [HOSTILE],
  })
  assert.doesNotMatch(page, /<script/i)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not come through
  assert.doesNotMatch(page, /[\u202e\u001b]/)
  assert.ok(page.includes('&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;'))
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not come through
  assert.doesNotMatch(evaluationTable(evaluation), /[\u202e\u001b]/)
})

test('phantom data are called synthetic at the top, without headline numbers', () => {
  const evaluation = evaluated(made(['nodule']), ['nodule'])
  const synthetic = renderReport({ evaluation, title: 'run', synthetic: true })
  const real = renderReport({ evaluation, title: 'run', synthetic: false })
  assert.ok(synthetic.indexOf('Synthetic data') > 0)
  assert.ok(synthetic.indexOf('Synthetic data') < synthetic.indexOf('<h1>'))
  assert.ok(!synthetic.includes('class="tile"') && real.includes('class="tile"'))
  assert.ok(!real.includes('Synthetic data'))
})

test('what is undefined is said with its reason, and warnings stand above the numbers', () => {
  const predictions = made(['nodule', 'hernia'])
  for (const p of predictions) p.labels.hernia = 0
  const evaluation = evaluated(predictions, ['nodule', 'hernia'])
  const page = renderReport({ evaluation, title: 'run', synthetic: false, warnings: ['The split leaks.'] })
  assert.ok(page.includes('no positive cases'))
  assert.ok(page.indexOf('The split leaks.') < page.indexOf('class="tile"'))
  assert.ok(page.includes('hernia: none of its 120 cases is positive'))
})

test('a multi-class report has one matrix and decides by the highest score', () => {
  const labels = ['normal', 'bacterial', 'viral']
  const predictions = made(labels)
  for (const [i, p] of predictions.entries()) {
    p.labels = Object.fromEntries(labels.map((name, c) => [name, c === i % 3 ? 1 : 0]))
    const sum = labels.reduce((all, name) => all + p.scores[name]!, 0)
    p.scores = Object.fromEntries(labels.map((name) => [name, p.scores[name]! / sum]))
  }
  const evaluation = evaluated(predictions, labels, { task: { labels, exclusive: true } })
  const page = renderReport({
    evaluation,
    title: 'run',
    images: imagesOf(predictions, evaluation),
    synthetic: false,
  })
  assert.equal(page.match(/class="matrix"/g)!.length, 1)
  assert.match(page, /truth <b>(normal|bacterial|viral)<\/b>/)
  assert.match(evaluationTable(evaluation), /balanced accuracy 0\.\d{3} \(0\.\d{3}–0\.\d{3}\)/)
})

test('chosen cases are of each kind, one a patient, and none twice for a label', () => {
  const predictions = made(['nodule'], { cases: 300, patients: 40 })
  const evaluation = evaluated(predictions, ['nodule'])
  const { threshold } = evaluation.operating_points.nodule!
  const chosen = chooseCases(predictions, evaluation)
  for (const kind of ['right', 'wrong', 'near'] as const) {
    const cases = chosen.filter((one) => one.kind === kind)
    assert.equal(cases.length, 6, kind)
    assert.ok(new Set(cases.map((one) => one.prediction.patient_id)).size >= 3)
    if (kind === 'near') continue
    for (const { prediction } of cases)
      assert.equal(
        prediction.scores.nodule! >= threshold === (prediction.labels.nodule === 1),
        kind === 'right',
      )
  }
  assert.equal(new Set(chosen.map((one) => one.prediction.case_id)).size, chosen.length)
  assert.equal(chosen.filter((one) => one.kind === 'right' && one.prediction.labels.nodule === 1).length, 3)
})

test('axes hold their values on round ticks', () => {
  const axis = linearAxis(0.013, 0.97)
  assert.deepEqual(axis.domain, [0, 1])
  assert.deepEqual(
    axis.ticks.map(({ label }) => label),
    ['0', '0.2', '0.4', '0.6', '0.8', '1.0'],
  )
  assert.equal(axis.place(0.25), 0.25)
  assert.deepEqual(
    linearAxis(0, 1e-3)
      .ticks.map(({ label }) => label)
      .slice(0, 3),
    ['0', '2e−4', '4e−4'],
  )
  assert.deepEqual(linearAxis(3, 3).domain, [3, 3.5])
  const powers = logAxis(2e-5, 1e-3)
  assert.deepEqual(powers.domain, [1e-5, 1e-3])
  assert.ok(Math.abs(powers.place(1e-4) - 0.5) < 1e-9)
})

test("a mark's label stands where no curve runs through it", () => {
  const curve = dense([
    [52, 60],
    [300, 60],
  ])
  const plot = { left: 52, right: 480, top: 10, bottom: 240 }
  const { x, y } = placeMarkLabel([120, 60], 'best checkpoint', [curve], plot)
  assert.equal(x, 130)
  assert.ok(y - 11 > 60 || y + 3 < 60, `${y} is crossed`)
})

test('durations read as a person says them', () => {
  assert.deepEqual([0.034, 4.21, 47, 200, 3_660, 7_500].map(duration), [
    '0.03 s',
    '4.2 s',
    '47 s',
    '3 min 20 s',
    '61 min',
    '2 h 5 min',
  ])
})

test('a template escapes every value but its own kind, and leaves nothing for null and false', () => {
  const inner = html`<b>${'<'}</b>`
  assert.equal(
    html`<p title="${'"'}">${[inner, 3]}${null}${false}</p>`.text,
    '<p title="&quot;"><b>&lt;</b>3</p>',
  )
})
