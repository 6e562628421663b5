import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exactInterval } from './exact_interval.ts'
import { percentileInterval, quantile } from './interval.ts'
import { seededIntegers } from './random.ts'
import { rank } from './ranking.ts'

test('quantiles interpolate between order statistics', () => {
  assert.equal(quantile([0, 10, 20, 30], 0.5), 15)
  assert.equal(quantile([0, 10], 0.025), 0.25)
  assert.equal(quantile([7], 0.9), 7)
})

test('few undefined resamples are dropped, more than 5 % withhold the interval', () => {
  const samples = (undefinedOnes: number) =>
    Float64Array.from({ length: 100 }, (_, i) => (i < undefinedOnes ? Number.NaN : i))
  const { low, high } = percentileInterval(samples(5), 0.9)
  assert.ok(low !== null && Math.abs(low - 9.7) < 1e-9 && high !== null && Math.abs(high - 94.3) < 1e-9)
  assert.deepEqual(percentileInterval(samples(6), 0.9), {
    low: null,
    high: null,
    withheld: 'undefined in resamples',
  })
})

test('samples without spread claim no certainty', () => {
  assert.equal(percentileInterval(new Float64Array(50).fill(1), 0.95).withheld, 'no spread')
})

test('30 of 30 patients right is bounded below by the exact binomial 0.884', () => {
  const ranking = rank(
    Array.from({ length: 60 }, (_, i) => i / 60),
    Array.from({ length: 60 }, (_, i) => (i < 30 ? 0 : 1)),
    Array.from({ length: 60 }, (_, i) => i),
  )
  const called = Int32Array.from({ length: 30 }, (_, i) => 30 + i)
  for (const metric of ['sensitivity', 'specificity', 'precision', 'auroc', 'balanced_accuracy'] as const) {
    const interval = exactInterval(metric, 1, ranking, called, 0.95)!
    assert.ok(Math.abs(interval.low! - 0.8843) < 1e-4, metric)
    assert.equal(interval.high, 1)
  }
  assert.ok(exactInterval('accuracy', 1, ranking, called, 0.95)!.low! > 0.94)
  assert.equal(exactInterval('f1', 1, ranking, called, 0.95), null)
  assert.equal(exactInterval('sensitivity', 0.5, ranking, called, 0.95), null)
})

test('cases of one patient count once in an exact bound', () => {
  const ranking = rank([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0], [0, 0, 1, 1])
  const { low } = exactInterval('auroc', 1, ranking, new Int32Array([0, 0]), 0.95)!
  assert.ok(Math.abs(low! - 0.025) < 1e-12)
})

test('equal seeds draw equal integers, other seeds others, and all of a range appears', () => {
  const take = (seed: number) => {
    const draw = seededIntegers(seed)
    return Array.from({ length: 2000 }, () => draw(10))
  }
  assert.deepEqual(take(7), take(7))
  assert.notDeepEqual(take(7), take(8))
  assert.notDeepEqual(take(7), take(7 + 2 ** 32))
  for (let n = 0; n < 10; n++) {
    const share = take(7).filter((drawn) => drawn === n).length / 2000
    assert.ok(share > 0.07 && share < 0.13, `${n}: ${share}`)
  }
})
