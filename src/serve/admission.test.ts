import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Admission } from './admission.ts'

test('requests and bytes are let in up to their limits, and one request always', () => {
  const admission = new Admission({ requests: 2, bytes: 100 })
  assert.equal(admission.enter(500), true, 'alone, whatever its size')
  assert.equal(admission.enter(1), false)
  admission.leave(500)
  assert.equal(admission.enter(60), true)
  assert.equal(admission.enter(50), false, 'bytes')
  assert.equal(admission.enter(40), true)
  assert.equal(admission.enter(0), false, 'requests')
  admission.leave(60)
  assert.equal(admission.enter(0), true)
})
