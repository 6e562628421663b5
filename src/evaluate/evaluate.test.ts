import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Evaluation, type Metric } from '../schema/evaluation.ts'
import type { Prediction } from '../schema/prediction.ts'
import { evaluatePredictions } from './evaluate.ts'
import { madePredictions, optionsFor, seededNumbers } from './predictions_fixture.ts'
import { groupsOf } from './subgroups.ts'

const prediction = (
  i: number,
  truth: 0 | 1 | null,
  score: number,
  more: Partial<Prediction> = {},
): Prediction => ({
  case_id: `case-${i}`,
  patient_id: `patient-${i}`,
  labels: { nodule: truth },
  logits: { nodule: score },
  scores: { nodule: score },
  attributes: {},
  ...more,
})

function bounds(metric: Metric | undefined): { value: number; low: number; high: number } {
  assert.ok(metric && metric.value !== null && metric.low !== null && metric.high !== null)
  return { value: metric.value, low: metric.low, high: metric.high }
}

test('the result fits its schema and every metric lies inside its interval', () => {
  const labels = ['nodule', 'mass', 'effusion']
  const predictions = madePredictions({ cases: 300, patients: 80, labels, seed: 1 })
  const evaluation = evaluatePredictions(predictions, optionsFor(labels, { subgroups: ['sex', 'age'] }))
  assert.deepEqual(Evaluation.parse(evaluation), evaluation)
  for (const label of labels)
    for (const name of [
      'auroc',
      'average_precision',
      'sensitivity',
      'specificity',
      'f1',
      'accuracy',
    ] as const) {
      const { value, low, high } = bounds(evaluation.per_label[label]![name])
      assert.ok(low < value && value < high, `${label} ${name}: ${low} ${value} ${high}`)
    }
  const { value, low, high } = bounds(evaluation.metrics.auroc_mean)
  assert.ok(low < value && value < high)
})

test('the same predictions, options and seed give the same result; the order of cases changes no value', () => {
  const predictions = madePredictions({ cases: 150, patients: 40, labels: ['nodule'], seed: 2 })
  const first = evaluatePredictions(predictions, optionsFor(['nodule']))
  assert.deepEqual(evaluatePredictions(predictions, optionsFor(['nodule'])), first)
  const reversed = evaluatePredictions(predictions.toReversed(), optionsFor(['nodule']))
  assert.equal(reversed.per_label.nodule!.auroc.value, first.per_label.nodule!.auroc.value)
  assert.deepEqual(reversed.per_label.nodule!.roc, first.per_label.nodule!.roc)
  assert.equal(reversed.operating_points.nodule!.threshold, first.operating_points.nodule!.threshold)
})

test('cases of one patient move together: copies of each case do not narrow the interval', () => {
  const single = madePredictions({ cases: 100, patients: 100, labels: ['nodule'], seed: 3 })
  const copied = single.flatMap((p) => [0, 1, 2, 3].map((c) => ({ ...p, case_id: `${p.case_id}-${c}` })))
  const options = optionsFor(['nodule'], { bootstrap: 1000 })
  const once = bounds(evaluatePredictions(single, options).per_label.nodule!.auroc)
  const four = bounds(evaluatePredictions(copied, options).per_label.nodule!.auroc)
  assert.deepEqual(four, once)
  const asPatients = copied.map((p) => ({ ...p, patient_id: p.case_id }))
  const naive = bounds(evaluatePredictions(asPatients, options).per_label.nodule!.auroc)
  assert.ok(naive.high - naive.low < 0.7 * (once.high - once.low))
})

test('unknown labels are masked: metrics are those of the known cases alone', () => {
  const known = madePredictions({ cases: 60, patients: 60, labels: ['nodule'], seed: 4 })
  const masked = [...known, prediction(901, null, 0.99), prediction(902, null, 0.01)]
  const all = evaluatePredictions(masked, optionsFor(['nodule'])).per_label.nodule!
  const alone = evaluatePredictions(known, optionsFor(['nodule'])).per_label.nodule!
  assert.equal(all.unknown, 2)
  assert.equal(all.auroc.value, alone.auroc.value)
  assert.deepEqual(all.confusion, alone.confusion)
})

test('with one class only, ranking metrics are null with the reason, and the label is named in a warning', () => {
  const evaluation = evaluatePredictions(
    [prediction(0, 0, 0.2), prediction(1, 0, 0.4), prediction(2, 0, 0.3)],
    optionsFor(['nodule']),
  )
  const { auroc, sensitivity, specificity, confusion } = evaluation.per_label.nodule!
  assert.deepEqual(auroc, { value: null, reason: 'no positive cases' })
  assert.deepEqual(sensitivity, { value: null, reason: 'no positive cases' })
  assert.deepEqual(specificity, { value: null, reason: 'no operating point' })
  assert.equal(confusion, null)
  assert.deepEqual(evaluation.metrics.auroc_mean, { value: null, reason: 'no positive cases' })
  assert.deepEqual(evaluation.operating_points, {})
  assert.match(evaluation.warnings.join('\n'), /nodule: none of its 3 cases is positive/)
  assert.deepEqual(Evaluation.parse(evaluation), evaluation)
})

test('a mean says which labels it leaves out', () => {
  const predictions = madePredictions({ cases: 80, patients: 80, labels: ['nodule', 'hernia'], seed: 5 })
  for (const p of predictions) p.labels.hernia = 0
  const evaluation = evaluatePredictions(predictions, optionsFor(['nodule', 'hernia']))
  assert.equal(bounds(evaluation.metrics.auroc_mean).value, evaluation.per_label.nodule!.auroc.value)
  assert.match(evaluation.warnings.join('\n'), /All means: left out hernia/)
})

test('a perfect separation is not called certain', () => {
  const predictions = Array.from({ length: 40 }, (_, i) =>
    prediction(i, i < 20 ? 0 : 1, i < 20 ? 0.1 + i / 100 : 0.6 + i / 200),
  )
  const evaluation = evaluatePredictions(predictions, optionsFor(['nodule']))
  const { auroc, sensitivity, f1 } = evaluation.per_label.nodule!
  for (const metric of [auroc, sensitivity]) {
    const { value, low, high } = bounds(metric)
    assert.equal(value, 1)
    assert.ok(Math.abs(low - 0.025 ** (1 / 20)) < 1e-12)
    assert.equal(high, 1)
  }
  assert.deepEqual(f1, { value: 1, low: null, high: null })
  assert.match(evaluation.warnings.join('\n'), /No interval for .*f1 of nodule.*would claim certainty/)
})

test('operating points fixed elsewhere are applied and reported unchanged', () => {
  const options = { cases: 200, patients: 90, labels: ['nodule'] }
  const val = evaluatePredictions(madePredictions({ ...options, seed: 6 }), optionsFor(['nodule']))
  const testSet = madePredictions({ ...options, seed: 7 })
  const evaluation = evaluatePredictions(
    testSet,
    optionsFor(['nodule'], { split: 'test', operating_points: val.operating_points }),
  )
  assert.deepEqual(evaluation.operating_points, val.operating_points)
  const { threshold } = val.operating_points.nodule!
  const tp = testSet.filter((p) => p.labels.nodule === 1 && p.scores.nodule! >= threshold).length
  assert.equal(evaluation.per_label.nodule!.confusion!.tp, tp)
})

test('no case called positive leaves precision undefined and F1 zero', () => {
  const point = {
    label: 'nodule',
    threshold: 0.99,
    rule: { maximize: 'youden', subject_to: {} },
    attained: true,
    chosen_on: 'val',
    metrics: {},
  } as const
  const { precision, f1 } = evaluatePredictions(
    madePredictions({ cases: 50, patients: 50, labels: ['nodule'], seed: 8 }),
    optionsFor(['nodule'], { operating_points: { nodule: point } }),
  ).per_label.nodule!
  assert.deepEqual(precision, { value: null, reason: 'nothing is called positive' })
  assert.equal(f1.value, 0)
  const healthy = evaluatePredictions(
    [prediction(0, 0, 0.2), prediction(1, 0, 0.4)],
    optionsFor(['nodule'], { operating_points: { nodule: point } }),
  ).per_label.nodule!
  assert.deepEqual(healthy.precision, { value: null, reason: 'nothing is called positive' })
  assert.deepEqual(healthy.sensitivity, { value: null, reason: 'no positive cases' })
})

test('multi-class decides by the highest score and counts a confusion matrix', () => {
  const classes = ['normal', 'bacterial', 'viral']
  const rows: [number, number[]][] = [
    [0, [0.7, 0.2, 0.1]],
    [0, [0.6, 0.3, 0.1]],
    [1, [0.1, 0.8, 0.1]],
    [1, [0.2, 0.3, 0.5]],
    [2, [0.2, 0.2, 0.6]],
    [2, [0.5, 0.2, 0.3]],
    [2, [0.1, 0.1, 0.8]],
  ]
  const predictions = rows.map(([truth, scores], i) =>
    prediction(i, null, 0, {
      labels: Object.fromEntries(classes.map((name, c) => [name, c === truth ? 1 : 0])),
      scores: Object.fromEntries(classes.map((name, c) => [name, scores[c]!])),
    }),
  )
  const evaluation = evaluatePredictions(
    predictions,
    optionsFor(classes, { task: { labels: classes, exclusive: true } }),
  )
  assert.deepEqual(evaluation.confusion_matrix, {
    labels: classes,
    counts: [
      [2, 0, 0],
      [0, 1, 1],
      [1, 0, 2],
    ],
  })
  assert.equal(evaluation.metrics.accuracy!.value, 5 / 7)
  assert.ok(Math.abs(evaluation.metrics.balanced_accuracy!.value! - (1 + 1 / 2 + 2 / 3) / 3) < 1e-12)
  assert.deepEqual(evaluation.per_label.viral!.confusion, { tp: 2, fp: 1, fn: 1, tn: 3 })
  assert.deepEqual(evaluation.operating_points, {})
  assert.deepEqual(Evaluation.parse(evaluation), evaluation)
})

test('30 of 30 multi-class cases right is not called certain', () => {
  const classes = ['a', 'b', 'c']
  const one = (c: number) => Object.fromEntries(classes.map((name, k) => [name, k === c ? 1 : 0]))
  const options = optionsFor(classes, { task: { labels: classes, exclusive: true } })
  const evaluate = (patients: number) =>
    evaluatePredictions(
      Array.from({ length: 30 }, (_, i) =>
        prediction(i, null, 0, {
          patient_id: `patient-${i % patients}`,
          labels: one(i % 3) as Prediction['labels'],
          scores: one(i % 3),
        }),
      ),
      options,
    ).metrics
  const isBound = (metric: Metric | undefined, trials: number) => {
    const { value, low, high } = bounds(metric)
    assert.deepEqual([value, high], [1, 1])
    assert.ok(Math.abs(low - 0.025 ** (1 / trials)) < 1e-12)
  }
  isBound(evaluate(30).accuracy, 30)
  isBound(evaluate(30).balanced_accuracy, 10)
  isBound(evaluate(15).accuracy, 15)
})

test('multi-class cases of unknown class are masked; two classes at once are an error', () => {
  const classes = ['a', 'b']
  const make = (i: number, a: 0 | 1 | null, b: 0 | 1 | null) =>
    prediction(i, null, 0, { labels: { a, b }, scores: { a: 0.4 + i / 100, b: 0.6 - i / 100 } })
  const options = optionsFor(classes, { task: { labels: classes, exclusive: true } })
  const evaluation = evaluatePredictions([make(0, 1, 0), make(1, 0, 1), make(2, null, null)], options)
  assert.equal(evaluation.per_label.a!.unknown, 1)
  assert.throws(() => evaluatePredictions([make(0, 1, 1)], options), /"case-0" has 2 classes/)
})

test('subgroups carry counts of cases and patients, and numbers are cut at their quartiles', () => {
  const predictions = madePredictions({ cases: 200, patients: 60, labels: ['nodule'], seed: 9 })
  predictions[0]!.attributes.sex = null
  const { subgroups } = evaluatePredictions(
    predictions,
    optionsFor(['nodule'], { subgroups: ['sex', 'age'] }),
  )
  const sex = subgroups.filter(({ attribute }) => attribute === 'sex')
  assert.deepEqual(
    sex.map(({ value }) => value),
    ['F', 'M', '(missing)'],
  )
  assert.equal(
    sex.reduce((sum, { cases }) => sum + cases, 0),
    200,
  )
  const age = subgroups.filter(({ attribute }) => attribute === 'age')
  assert.equal(age.length, 4)
  assert.match(age[0]!.value, /^below /)
  for (const { cases } of age) assert.ok(cases > 30)
})

test('a cell that says unknown is a group of its own beside the cases without the attribute', () => {
  const predictions = madePredictions({ cases: 30, patients: 30, labels: ['nodule'], seed: 9 })
  for (const [i, p] of predictions.entries()) p.attributes.sex = ['F', 'unknown', null][i % 3]!
  const { groups } = groupsOf(predictions, 'sex')
  assert.deepEqual(
    groups.map(({ value, cases }) => [value, cases.length]),
    [
      ['F', 10],
      ['unknown', 10],
      ['(missing)', 10],
    ],
  )
})

test('a subgroup is measured as if it were alone', () => {
  const predictions = madePredictions({ cases: 200, patients: 200, labels: ['nodule'], seed: 10 })
  const options = optionsFor(['nodule'])
  const whole = evaluatePredictions(predictions, { ...options, subgroups: ['sex'] })
  const women = predictions.filter(({ attributes }) => attributes.sex === 'F')
  const alone = evaluatePredictions(women, { ...options, operating_points: whole.operating_points })
  const group = whole.subgroups.find(({ value }) => value === 'F')!
  assert.equal(group.per_label.nodule!.auroc.value, alone.per_label.nodule!.auroc.value)
  assert.equal(group.per_label.nodule!.sensitivity.value, alone.per_label.nodule!.sensitivity.value)
})

test('a subgroup that no case has, or with too many values, is said', () => {
  const predictions = madePredictions({ cases: 60, patients: 60, labels: ['nodule'], seed: 11 })
  for (const [i, p] of predictions.entries()) p.attributes.site = `hospital ${i % 30}`
  const { warnings, subgroups } = evaluatePredictions(
    predictions,
    optionsFor(['nodule'], { subgroups: ['scanner', 'site'] }),
  )
  assert.match(warnings.join('\n'), /no case has the attribute "scanner"/)
  assert.match(warnings.join('\n'), /"site" has 10 more values/)
  assert.equal(subgroups.length, 20)
})

test('mistakes name the case: twice, NaN, outside 0..1, no score, no label', () => {
  const evaluate =
    (...predictions: Prediction[]) =>
    () =>
      evaluatePredictions(predictions, optionsFor(['nodule']))
  assert.throws(evaluate(), /no predictions/)
  assert.throws(evaluate(prediction(1, 0, 0.5), prediction(1, 1, 0.5)), /"case-1" is predicted twice/)
  assert.throws(evaluate(prediction(2, 0, Number.NaN)), /"case-2", label nodule: the score is not a number/)
  assert.throws(evaluate(prediction(3, 0, -3.2)), /"case-3".*-3.2, outside 0..1[\s\S]*logits/)
  assert.throws(evaluate(prediction(4, 0, 0.5, { scores: {} })), /"case-4".*no score/)
  assert.throws(evaluate(prediction(5, 0, 0.5, { labels: {} })), /"case-5" has no label nodule/)
})

test('curves hold at most 200 points, start and end where they should, and rise', () => {
  const predictions = madePredictions({
    cases: 3000,
    patients: 3000,
    labels: ['nodule'],
    seed: 12,
    signal: 0.5,
  })
  const { roc, pr } = evaluatePredictions(predictions, optionsFor(['nodule'], { bootstrap: 100 })).per_label
    .nodule!
  assert.ok(roc.length <= 200 && roc.length > 100 && pr.length <= 200)
  assert.deepEqual([roc[0], roc.at(-1), pr.at(-1)?.[0]], [[0, 0], [1, 1], 1])
  for (let i = 1; i < roc.length; i++) assert.ok(roc[i]![0] >= roc[i - 1]![0] && roc[i]![1] >= roc[i - 1]![1])
})

test('an interval of 95 % holds the true AUROC in about 95 of 100 samples', () => {
  // Scores of two normal distributions one standard deviation apart: AUROC = Φ(1 / √2).
  const truth = 0.7602499
  const random = seededNumbers(13)
  const normal = () => Math.sqrt(-2 * Math.log(random() + 1e-9)) * Math.cos(2 * Math.PI * random())
  let held = 0
  for (let trial = 0; trial < 100; trial++) {
    const predictions = Array.from({ length: 120 }, (_, i) => {
      const y = (i % 3 === 0 ? 1 : 0) as 0 | 1
      return prediction(i, y, 1 / (1 + Math.exp(-normal() - y)))
    })
    const { low, high } = bounds(
      evaluatePredictions(predictions, optionsFor(['nodule'], { bootstrap: 400, seed: trial })).per_label
        .nodule!.auroc,
    )
    if (low <= truth && truth <= high) held++
  }
  assert.ok(held >= 88, `held ${held} of 100`)
})

test('a rule that fixed thresholds met where they were chosen and miss here is said, with the interval', () => {
  const predictions = [1, 1, 1, 1, 0, 0].map((truth, i) =>
    prediction(i, truth as 0 | 1, [0.9, 0.8, 0.7, 0.1, 0.2, 0.3][i]!),
  )
  const rule = { maximize: 'specificity' as const, subject_to: { sensitivity: 0.95 } }
  const point = { label: 'nodule', threshold: 0.5, rule, attained: true, chosen_on: 'val', metrics: {} }
  const { warnings } = evaluatePredictions(
    predictions,
    optionsFor(['nodule'], { split: 'test', operating_points: { nodule: point } }),
  )
  assert.match(
    warnings.join('\n'),
    /nodule: the threshold was chosen on validation for sensitivity ≥ 0\.95 and misses it here: sensitivity 0\.750/,
  )
})
