import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Prediction } from '../schema/prediction.ts'
import { byStudy } from './by_study.ts'

const image = (
  case_id: string,
  study: string | null,
  label: 0 | 1 | null,
  score: number,
  view = 'PA',
): Prediction => ({
  case_id,
  patient_id: `p-${study ?? case_id}`,
  labels: { mass: label },
  logits: { mass: 0 },
  scores: { mass: score },
  attributes: { study, view, sex: 'F' },
})

test('a study has the mean or the maximum of the scores of its images, in the order of first images', () => {
  const images = [image('a', 's2', 0, 0.25), image('b', 's1', 1, 0.5), image('c', 's2', 0, 0.75, 'LL')]
  const found = byStudy(images, 'mean')
  assert.deepEqual(
    found.map(({ case_id, patient_id, scores }) => [case_id, patient_id, scores.mass]),
    [
      ['s2', 'p-s2', 0.5],
      ['s1', 'p-s1', 0.5],
    ],
  )
  assert.deepEqual(found[0]!.attributes, { study: 's2', view: null, sex: 'F' })
  assert.equal(byStudy(images, 'max')[0]!.scores.mass, 0.75)
})

test('a finding in one image is one of the study; it is absent only where every image says so', () => {
  const label = (...labels: (0 | 1 | null)[]) =>
    byStudy(
      labels.map((value, i) => image(String(i), 's', value, 0.5)),
      'mean',
    )[0]!.labels.mass
  assert.deepEqual([label(0, 1, null), label(0, null), label(0, 0)], [1, null, 0])
})

test('an image without a study is its own', () => {
  const images = [image('a', null, 0, 0.25), image('b', null, 1, 0.5)]
  assert.deepEqual(
    byStudy(images, 'max').map(({ case_id }) => case_id),
    ['a', 'b'],
  )
})
