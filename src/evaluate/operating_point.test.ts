import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chooseOperatingPoint, type Rule } from './operating_point.ts'
import { seededNumbers } from './predictions_fixture.ts'
import { rank } from './ranking.ts'

const ranked = (scores: number[], truth: number[]) => rank(scores, truth, new Uint8Array(scores.length))
const youden: Rule = { maximize: 'youden', subject_to: {} }

test('the threshold lies midway between two adjacent scores', () => {
  const point = chooseOperatingPoint(ranked([0.25, 0.5, 0.75, 1], [0, 0, 1, 1]), youden)
  assert.deepEqual(point, { threshold: 0.625, cut: 2, attained: true })
})

test('every threshold of a rule without bounds is at least as good as any other cut', () => {
  for (let seed = 0; seed < 30; seed++) {
    const random = seededNumbers(seed)
    const truth = Array.from({ length: 40 }, (_, i) => (i < 2 ? i : random() < 0.5 ? 1 : 0))
    const scores = truth.map((y) => Math.floor((0.6 * random() + 0.3 * y) * 30) / 30)
    const { threshold } = chooseOperatingPoint(ranked(scores, truth), youden)
    const youdenAt = (t: number) => {
      const share = (y: number) =>
        scores.filter((s, i) => truth[i] === y && s >= t).length / truth.filter((v) => v === y).length
      return share(1) - share(0)
    }
    for (const cut of [...scores, 2]) assert.ok(youdenAt(threshold) >= youdenAt(cut) - 1e-12)
    assert.ok(!scores.includes(threshold) || scores.every((s) => s >= threshold))
  }
})

test('specificity is maximised among thresholds with enough sensitivity', () => {
  const scores = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
  const truth = [0, 0, 1, 0, 0, 1, 1, 1]
  const all = chooseOperatingPoint(ranked(scores, truth), {
    maximize: 'specificity',
    subject_to: { sensitivity: 1 },
  })
  assert.equal(all.threshold, 0.25)
  const most = chooseOperatingPoint(ranked(scores, truth), {
    maximize: 'specificity',
    subject_to: { sensitivity: 0.75 },
  })
  assert.equal(most.threshold, 0.55)
})

test('bounds that no threshold meets give the nearest one, marked as not attained', () => {
  const point = chooseOperatingPoint(ranked([0.1, 0.2, 0.3, 0.4], [1, 0, 1, 0]), {
    maximize: 'specificity',
    subject_to: { sensitivity: 0.95, specificity: 0.95 },
  })
  assert.equal(point.attained, false)
  assert.ok(point.threshold > 0 && point.threshold < 1)
})

test('a bound that is met but for rounding is met', () => {
  // Sensitivity 6 of 10 and specificity 7 of 10: 0.6 + 0.7 - 1 is 0.29999999999999993.
  const called = (n: number, of: number) => Array.from({ length: of }, (_, i) => (i < n ? 0.9 : 0.1))
  const ranking = ranked([...called(6, 10), ...called(3, 10)], [...Array(10).fill(1), ...Array(10).fill(0)])
  const point = chooseOperatingPoint(ranking, { maximize: 'sensitivity', subject_to: { youden: 0.3 } })
  assert.deepEqual(point, { threshold: 0.5, cut: 9, attained: true })
  const above = chooseOperatingPoint(ranking, { maximize: 'sensitivity', subject_to: { youden: 0.3001 } })
  assert.equal(above.attained, false)
})

test('calling everything positive is a threshold below the lowest score', () => {
  const point = chooseOperatingPoint(ranked([0.2, 0.6], [1, 0]), {
    maximize: 'specificity',
    subject_to: { sensitivity: 1 },
  })
  assert.deepEqual(point, { threshold: 0.1, cut: 2, attained: true })
})

test('calling nothing positive is a threshold above the highest score', () => {
  const point = chooseOperatingPoint(ranked([0.2, 0.6], [1, 0]), {
    maximize: 'sensitivity',
    subject_to: { specificity: 1 },
  })
  assert.deepEqual(point, { threshold: 0.8, cut: 0, attained: true })
})

test('two neighbouring doubles are still told apart', () => {
  const low = 0.5
  const high = 0.5 + 2 ** -53
  const point = chooseOperatingPoint(ranked([low, high], [0, 1]), youden)
  assert.equal(point.threshold, high)
})

test('among equally good thresholds the widest gap is taken', () => {
  // Cuts after 0.9 and after 0.2 both reach Youden 0.5; the second lies in the wider gap.
  const point = chooseOperatingPoint(ranked([0.9, 0.85, 0.8, 0.2], [1, 0, 1, 0]), youden)
  assert.equal(point.threshold, 0.5)
})

test('a missing class leaves nothing to choose', () => {
  assert.throws(() => chooseOperatingPoint(ranked([0.1, 0.2], [1, 1]), youden), /no negative cases/)
})
