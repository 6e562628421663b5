import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PhantomSource } from '../schema/data.ts'
import { bestAuroc, logLikelihoodRatio, normalCdf, separation } from './phantom_optimum.ts'
import { MARKED_LABEL, planPhantom, severityScale } from './phantom_plan.ts'

/** Pair counting, ties one half. */
function auroc(positive: readonly number[], negative: readonly number[]): number {
  let won = 0
  for (const p of positive) for (const n of negative) won += p > n ? 1 : p === n ? 0.5 : 0
  return won / (positive.length * negative.length)
}

function scores(source: PhantomSource, label: 'Cardiomegaly' | 'Effusion', withMarker: boolean) {
  const d = separation(source.difficulty)
  const cases = planPhantom(source)
  const score = (c: (typeof cases)[number]) =>
    logLikelihoodRatio(
      c.severity[label] * severityScale(d) + d / 2,
      d,
      c.marker,
      withMarker && label === MARKED_LABEL ? source.marker_shortcut : 0,
    )
  const of = (value: 0 | 1) => cases.filter((c) => c.labels[label] === value).map(score)
  return auroc(of(1), of(0))
}

const phantom = (values: object = {}) => PhantomSource.parse({ kind: 'phantom', patients: 1200, ...values })

test('the normal distribution function matches published values', () => {
  for (const [x, p] of [
    [0, 0.5],
    [1, 0.8413447460685429],
    [1.959963984540054, 0.975],
    [-3, 0.0013498980316300933],
    [9, 1],
    [-9, 0],
  ] as const)
    assert(Math.abs(normalCdf(x) - p) < 1e-14, `${x}`)
})

test('difficulty runs from findings plain to see to findings that the picture does not tell', () => {
  assert.equal(separation(0), 6)
  assert.equal(separation(1), 0)
  assert(bestAuroc(separation(0), 0) > 0.9999)
  assert.equal(bestAuroc(separation(1), 0), 0.5)
  const steps = [0, 0.1, 0.2, 0.3, 0.5, 0.8, 1].map((x) => bestAuroc(separation(x), 0))
  assert.deepEqual(steps, [...steps].sort().reverse())
})

test('the default difficulty leaves room above and below', () => {
  const best = bestAuroc(separation(phantom().difficulty), 0)
  assert(best > 0.93 && best < 0.98, `${best}`)
})

// About 1,200 positives and 1,800 negatives: the standard error of an AUROC of 0.9 is then 0.006.
for (const difficulty of [0.1, 0.3, 0.7])
  test(`an observer who is told the severity reaches the optimum at difficulty ${difficulty}`, () => {
    const source = phantom({ difficulty })
    const expected = bestAuroc(separation(difficulty), 0)
    for (const label of ['Cardiomegaly', 'Effusion'] as const)
      assert(Math.abs(scores(source, label, true) - expected) < 0.02, label)
  })

for (const [difficulty, marker_shortcut] of [
  [0.3, 0.5],
  [0.8, 0.7],
  [1, 0.6],
] as const)
  test(`a marker shortcut of ${marker_shortcut} raises the optimum of the marked finding as computed, at difficulty ${difficulty}`, () => {
    const source = phantom({ difficulty, marker_shortcut })
    const expected = bestAuroc(separation(difficulty), marker_shortcut)
    assert(expected > bestAuroc(separation(difficulty), 0))
    assert(Math.abs(scores(source, MARKED_LABEL, true) - expected) < 0.02)
    assert(Math.abs(scores(source, 'Cardiomegaly', true) - bestAuroc(separation(difficulty), 0)) < 0.02)
  })

test('a full shortcut gives the finding away', () => {
  assert.equal(bestAuroc(separation(0.9), 1), 1)
  const cases = planPhantom(phantom({ marker_shortcut: 1 }))
  assert(cases.every((c) => (c.marker === 'R') === (c.labels[MARKED_LABEL] === 1)))
})

test('without a shortcut the marker is a coin', () => {
  const cases = planPhantom(phantom())
  for (const value of [0, 1] as const) {
    const group = cases.filter((c) => c.labels[MARKED_LABEL] === value)
    const share = group.filter((c) => c.marker === 'R').length / group.length
    assert(Math.abs(share - 0.5) < 0.05, `${share}`)
  }
})
