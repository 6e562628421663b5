import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeUnlearnable, refuseUnlearnable, unlearnableLabels } from './learnable.ts'

const task = (labels: string[]) => ({ kind: 'classify' as const, labels, exclusive: false })

test('a label that has one class in training cannot be learnt, whatever the other parts hold', () => {
  const cases = [
    { labels: { a: 1, b: 1 } },
    { labels: { a: 0, b: null } },
    { labels: { a: 0, b: 0 } },
  ] as const
  assert.deepEqual(unlearnableLabels(cases, ['train', 'train', 'val'], task(['a', 'b'])), ['b'])
  assert.deepEqual(unlearnableLabels(cases, ['train', 'train', 'train'], task(['a', 'b'])), [])
})

test('training is refused only when no label can be learnt', () => {
  refuseUnlearnable([], task(['a']))
  refuseUnlearnable(['b'], task(['a', 'b']))
  assert.throws(() => refuseUnlearnable(['a'], task(['a'])), /one class only of "a": nothing can be learnt/)
  assert.throws(() => refuseUnlearnable(['a', 'b'], task(['a', 'b'])), /each of 2 labels/)
  assert.match(describeUnlearnable(['b'])!, /one class only of "b"/)
  assert.equal(describeUnlearnable([]), null)
})

test('a structure needs masks that hold it, and no case without it', () => {
  const segment = { kind: 'segment' as const, labels: { a: 1, b: 2 } }
  const cases = [{ labels: { a: 1, b: 0 } }, { labels: { a: 1, b: 0 } }] as const
  assert.deepEqual(unlearnableLabels(cases, ['train', 'train'], segment), ['b'])
  assert.throws(() => refuseUnlearnable(['a', 'b'], segment), /No mask of the training split holds/)
})
