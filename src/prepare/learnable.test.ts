import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeUnlearnable, refuseUnlearnable, unlearnableLabels } from './learnable.ts'

test('a label that has one class in training cannot be learnt, whatever the other parts hold', () => {
  const cases = [
    { labels: { a: 1, b: 1 } },
    { labels: { a: 0, b: null } },
    { labels: { a: 0, b: 0 } },
  ] as const
  assert.deepEqual(unlearnableLabels(cases, ['train', 'train', 'val'], ['a', 'b']), ['b'])
  assert.deepEqual(unlearnableLabels(cases, ['train', 'train', 'train'], ['a', 'b']), [])
})

test('training is refused only when no label can be learnt', () => {
  refuseUnlearnable([], ['a'])
  refuseUnlearnable(['b'], ['a', 'b'])
  assert.throws(() => refuseUnlearnable(['a'], ['a']), /one class only of "a": nothing can be learnt/)
  assert.throws(() => refuseUnlearnable(['a', 'b'], ['a', 'b']), /each of 2 labels/)
  assert.match(describeUnlearnable(['b'])!, /one class only of "b"/)
  assert.equal(describeUnlearnable([]), null)
})
