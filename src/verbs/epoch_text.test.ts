import assert from 'node:assert/strict'
import { test } from 'node:test'
import { epochText } from './epoch_text.ts'

test('the step that completes an epoch says that epoch, others a tenth', () => {
  // 9 samples in batches of 4: 7 steps make three epochs, with one sample over.
  const at = (step: number) => epochText({ step, epoch: (step * 4) / 9 })
  assert.deepEqual([1, 2, 3, 4, 5, 6, 7].map(at), ['0.4', '0.9', '1', '1.8', '2', '2.7', '3'])
  assert.equal(epochText({ step: 10, epoch: 1 }), '1')
  assert.equal(epochText({ step: 0, epoch: 0 }), '0.0')
})
