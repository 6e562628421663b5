import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Admission, pixelGate } from './admission.ts'

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

test('images are decoded in order, as many at a time as fit, a huge one alone', async () => {
  const gate = pixelGate(2 ** 23)
  const running = new Set<number>()
  const together: number[][] = []
  const sizes = [2 ** 22, 2 ** 22, 2 ** 26, 10, 10, 10, 10, 10]
  const started: number[] = []
  await Promise.all(
    sizes.map((pixels, i) =>
      gate(async () => {
        started.push(i)
        running.add(i)
        together.push([...running])
        await new Promise((resolve) => setImmediate(resolve))
        running.delete(i)
      }, pixels),
    ),
  )
  assert.deepEqual(started, [0, 1, 2, 3, 4, 5, 6, 7])
  assert.deepEqual(together[2], [2], 'the huge one alone')
  assert.equal(Math.max(...together.map((group) => group.length)), 4)
})

test('a failure gives its room back', async () => {
  const gate = pixelGate(2 ** 21)
  await assert.rejects(
    gate(() => Promise.reject(new Error('x')), 1),
    /x/,
  )
  assert.equal(await gate(async () => 7, 1), 7)
})
