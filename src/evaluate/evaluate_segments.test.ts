import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SegmentEvaluation, type StructureMetrics } from '../schema/evaluation_segment.ts'
import { type EvaluateSegmentsOptions, evaluateSegments, type SegmentCase } from './evaluate_segments.ts'
import { randomPair } from './masks_fixture.ts'
import { ABSENT, type MaskPair, measureMasks } from './measure_masks.ts'

const LABELS = { one: [1], two: [2], both: [1, 2] }

function optionsFor(changes: Partial<EvaluateSegmentsOptions> = {}): EvaluateSegmentsOptions {
  return {
    labels: LABELS,
    surface_tolerance_mm: 1,
    source: 'made masks',
    split: 'val',
    bootstrap: 200,
    confidence: 0.95,
    seed: 0,
    subgroups: [],
    test_openings: 0,
    ...changes,
  }
}

/** Two cases a patient. */
function caseOf(i: number, pair: MaskPair): SegmentCase {
  return {
    case_id: `case-${i}`,
    patient_id: `patient-${i >> 1}`,
    attributes: { sex: i % 3 === 0 ? 'F' : 'M' },
    per_label: measureMasks(pair, LABELS, 1).per_label,
  }
}
const pairs = Array.from({ length: 30 }, (_, seed) => randomPair(seed))
const cases = pairs.map((pair, i) => caseOf(i, pair))

const found = (dice: number): StructureMetrics => ({
  outcome: 'found',
  reference_ml: 1,
  prediction_ml: 1,
  dice,
  surface_dice: dice,
  hd95_mm: 10 * (1 - dice),
  volume_error_ml: dice - 0.7,
  volume_error_relative: dice - 0.7,
})
const single = (i: number, metrics: StructureMetrics): SegmentCase => ({
  case_id: `case-${i}`,
  patient_id: `patient-${i}`,
  attributes: {},
  per_label: { liver: metrics },
})
const ofLiver = optionsFor({ labels: { liver: [1] } })

test('the result fits its schema, and every mean lies inside its interval', () => {
  const evaluation = evaluateSegments(cases, optionsFor({ subgroups: ['sex'] }))
  assert.deepEqual(SegmentEvaluation.parse(evaluation), evaluation)
  assert.deepEqual([evaluation.cases, evaluation.patients], [30, 15])
  for (const metric of [...Object.values(evaluation.metrics), evaluation.per_label.both!.volume_error_ml]) {
    assert.ok(metric.value !== null && metric.low !== null && metric.high !== null)
    assert.ok(metric.low < metric.value && metric.value < metric.high)
  }
  assert.deepEqual(
    evaluation.subgroups.map(({ value, cases }) => [value, cases]),
    [
      ['F', 10],
      ['M', 20],
    ],
  )
})

test('means are over the cases that have the structure in either mask, each counted', () => {
  const { per_label, metrics } = evaluateSegments(
    [single(0, found(0.9)), single(1, found(0.7)), single(2, ABSENT)],
    ofLiver,
  )
  const { liver } = per_label
  assert.ok(Math.abs(liver!.dice.value! - 0.8) < 1e-12)
  assert.ok(Math.abs(liver!.volume_error_ml.value! - 0.1) < 1e-12)
  assert.deepEqual(metrics.dice_mean, liver!.dice)
  assert.deepEqual(
    [liver!.counted, liver!.found, liver!.missed, liver!.falsely_present, liver!.correctly_absent],
    [2, 2, 0, 0, 1],
  )
})

test('volume errors that cancel out leave a signed mean of zero and an absolute one that is not', () => {
  const { liver } = evaluateSegments([single(0, found(0.9)), single(1, found(0.5))], ofLiver).per_label
  assert.ok(Math.abs(liver!.volume_error_ml.value!) < 1e-12)
  assert.ok(Math.abs(liver!.absolute_volume_error_ml.value! - 0.2) < 1e-12)
})

test('leaving out structures, in any cases, never improves a mean of Dice, surface Dice or HD95', () => {
  const before = evaluateSegments(cases, optionsFor({ bootstrap: 100 }))
  for (let i = 0; i < cases.length; i++) {
    const without = [...cases.keys()].map((k) =>
      k % (i + 1) === 0
        ? caseOf(k, { ...pairs[k]!, prediction: new Uint8Array(pairs[k]!.reference.length) })
        : cases[k]!,
    )
    // Where nothing is to be found, finding nothing is right: there the prediction stays.
    const changed = without.map((one, k) => {
      const per_label = Object.fromEntries(
        Object.entries(one.per_label).map(([name, metrics]) => [
          name,
          metrics.outcome === 'correctly_absent' ? cases[k]!.per_label[name]! : metrics,
        ]),
      )
      return { ...one, per_label }
    })
    const after = evaluateSegments(changed, optionsFor({ bootstrap: 100 }))
    const slack = 1e-12
    for (const [was, is] of [
      [before.metrics, after.metrics],
      ...Object.keys(LABELS).map((name) => [before.per_label[name]!, after.per_label[name]!]),
    ] as Record<string, { value: number }>[][]) {
      for (const metric of ['dice', 'surface_dice', 'dice_mean', 'surface_dice_mean'])
        if (was![metric]) assert.ok(is![metric]!.value <= was![metric]!.value + slack, metric)
      for (const metric of ['hd95_mm', 'hd95_mm_mean'])
        if (was![metric]) assert.ok(is![metric]!.value >= was![metric]!.value - slack, metric)
    }
  }
})

test('the order of cases changes nothing, intervals included', () => {
  const options = optionsFor({ subgroups: ['sex'] })
  assert.deepEqual(evaluateSegments(cases.toReversed(), options), evaluateSegments(cases, options))
})

test('cases of one patient move together: copies of each case do not narrow the interval', () => {
  const once = cases.map((one, i) => ({ ...one, patient_id: `p${i}` }))
  const copied = once.flatMap((one) => [0, 1, 2].map((c) => ({ ...one, case_id: `${one.case_id}-${c}` })))
  const width = (of: SegmentCase[]) => {
    const { dice_mean } = evaluateSegments(of, optionsFor({ bootstrap: 1000 })).metrics
    assert.ok(dice_mean && dice_mean.value !== null)
    return dice_mean.high! - dice_mean.low!
  }
  assert.ok(Math.abs(width(copied) / width(once) - 1) < 1e-9)
  assert.ok(width(copied.map((one) => ({ ...one, patient_id: one.case_id }))) < 0.75 * width(once))
})

test('a structure that no mask has is undefined, left out of the means over labels, and told', () => {
  const evaluation = evaluateSegments(
    cases.map((one) => ({ ...one, per_label: { ...one.per_label, spleen: ABSENT } })),
    optionsFor({ labels: { ...LABELS, spleen: [9] } }),
  )
  assert.deepEqual(evaluation.per_label.spleen!.dice, { value: null, reason: 'in neither mask of any case' })
  assert.deepEqual(evaluation.metrics, evaluateSegments(cases, optionsFor()).metrics)
  assert.match(evaluation.warnings.join(), /spleen: in neither mask of any case/)
})

test('perfect agreement has no interval: resampling sees no spread', () => {
  const perfect = Array.from({ length: 5 }, (_, i) => single(i, found(1)))
  const { metrics, warnings } = evaluateSegments(perfect, ofLiver)
  assert.deepEqual(metrics.dice_mean, { value: 1, low: null, high: null })
  assert.match(warnings.join(), /No interval for Dice, surface Dice, HD95.* of liver.*: every resample/)
})

test('a case twice, or none, is an error', () => {
  assert.throws(() => evaluateSegments([cases[0]!, cases[0]!], optionsFor()), /"case-0" is there twice/)
  assert.throws(() => evaluateSegments([], optionsFor()), /There are no masks to evaluate/)
})
