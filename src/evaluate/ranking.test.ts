import assert from 'node:assert/strict'
import { test } from 'node:test'
import { auroc } from './auroc.ts'
import { averagePrecision } from './average_precision.ts'
import { MetricError } from './metric_error.ts'
import { seededNumbers } from './predictions_fixture.ts'
import { emptyRankMetrics, measureRanking, placesAtOrAbove, rank } from './ranking.ts'

/** The definition, pair by pair. */
function aurocByPairs(scores: number[], labels: (0 | 1)[]): number {
  let sum = 0
  let pairs = 0
  for (const [i, a] of scores.entries())
    for (const [j, b] of scores.entries()) {
      if (labels[i] !== 1 || labels[j] !== 0) continue
      pairs++
      sum += a > b ? 1 : a === b ? 0.5 : 0
    }
  return sum / pairs
}

function madePairs(seed: number, n: number, steps: number): { scores: number[]; labels: (0 | 1)[] } {
  const random = seededNumbers(seed)
  const labels = Array.from({ length: n }, (_, i) => (i < 2 ? (i as 0 | 1) : random() < 0.4 ? 1 : 0))
  const scores = labels.map((y) => Math.floor((random() + 0.3 * y) * steps) / steps)
  return { scores, labels }
}

test('AUROC of a hand-counted example: 3 of 4 pairs are in order', () => {
  assert.equal(auroc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]), 0.75)
})

test('a tied pair counts one half', () => {
  assert.equal(auroc([0.5, 0.5], [0, 1]), 0.5)
  assert.equal(auroc([0.5, 0.5, 0.9], [0, 1, 1]), 0.75)
})

test('AUROC equals the count over all pairs, ties included', () => {
  for (let seed = 0; seed < 50; seed++) {
    const { scores, labels } = madePairs(seed, 5 + seed, seed % 2 ? 6 : 1000)
    assert.ok(Math.abs(auroc(scores, labels) - aurocByPairs(scores, labels)) < 1e-12)
  }
})

test('a rising map of the scores changes neither AUROC nor average precision', () => {
  for (let seed = 0; seed < 20; seed++) {
    const { scores, labels } = madePairs(seed, 60, 25)
    const mapped = scores.map((score) => Math.exp(3 * score) - 7)
    assert.equal(auroc(mapped, labels), auroc(scores, labels))
    assert.equal(averagePrecision(mapped, labels), averagePrecision(scores, labels))
  }
})

test('the order of cases changes nothing, not even the last bit', () => {
  for (let seed = 0; seed < 20; seed++) {
    const { scores, labels } = madePairs(seed, 40, 8)
    const random = seededNumbers(seed + 1000)
    const shuffled = scores.map((score, i) => ({ score, label: labels[i]!, key: random() }))
    shuffled.sort((a, b) => a.key - b.key)
    const moved = [shuffled.map((c) => c.score), shuffled.map((c) => c.label)] as const
    assert.equal(auroc(...moved), auroc(scores, labels))
    assert.equal(averagePrecision(...moved), averagePrecision(scores, labels))
  }
})

test('reversing scores and swapping classes mirror the AUROC', () => {
  const { scores, labels } = madePairs(3, 70, 12)
  const area = auroc(scores, labels)
  assert.ok(
    Math.abs(
      auroc(
        scores.map((s) => -s),
        labels,
      ) +
        area -
        1,
    ) < 1e-12,
  )
  assert.ok(
    Math.abs(
      auroc(
        scores,
        labels.map((y) => (1 - y) as 0 | 1),
      ) +
        area -
        1,
    ) < 1e-12,
  )
})

test('average precision of equal scores is the prevalence', () => {
  assert.equal(averagePrecision([0.5, 0.5, 0.5, 0.5], [1, 0, 0, 0]), 0.25)
})

test('a patient drawn twice counts as its cases written twice', () => {
  const { scores, labels } = madePairs(9, 30, 10)
  const patientOf = scores.map((_, i) => i % 7)
  const drawn = Uint16Array.of(2, 0, 1, 3, 0, 1, 0)
  const weighted = measureRanking(rank(scores, labels, patientOf), drawn, 0, emptyRankMetrics())
  const copies = scores.flatMap((_, i) => Array.from({ length: drawn[i % 7]! }, () => i))
  const written = [copies.map((i) => scores[i]!), copies.map((i) => labels[i]!)] as const
  assert.equal(weighted.auroc, auroc(...written))
  assert.ok(Math.abs(weighted.average_precision - averagePrecision(...written)) < 1e-12)
})

test('counts at a cut are those of score >= threshold', () => {
  const ranking = rank([0.9, 0.5, 0.5, 0.1], [1, 0, 1, 0], [0, 0, 0, 0])
  const cut = placesAtOrAbove(ranking, 0.5)
  assert.equal(cut, 3)
  const { tp, fp } = measureRanking(ranking, Uint16Array.of(1), cut, emptyRankMetrics())
  assert.deepEqual([tp, fp], [2, 1])
  assert.equal(placesAtOrAbove(ranking, 0.95), 0)
  assert.equal(placesAtOrAbove(ranking, 0), 4)
})

test('unknown labels are left out of the ranking', () => {
  const ranking = rank([0.9, 0.8, 0.1], [1, -1, 0], [0, 0, 0])
  assert.deepEqual([ranking.positive, ranking.negative, ranking.code.length], [1, 1, 2])
})

test('one class alone is an error that says which class is missing', () => {
  assert.throws(() => auroc([0.1, 0.2], [1, 1]), new MetricError('AUROC is undefined: no negative cases'))
  assert.throws(() => auroc([0.1, 0.2], [0, 0]), /no positive cases/)
  assert.throws(() => averagePrecision([0.1], [0]), /no positive cases/)
})

test('a score that is not a number, or a length that differs, is an error', () => {
  assert.throws(() => auroc([0.1, Number.NaN], [0, 1]), /score 1 is not a number/)
  assert.throws(() => auroc([0.1], [0, 1]), /1 scores but 2 labels/)
})
