import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryBudget } from './memory_budget.ts'

test('work starts in order, as much at a time as fits, and what exceeds the limit alone', async () => {
  const budget = new MemoryBudget(8)
  const running = new Set<number>()
  const together: number[][] = []
  const started: number[] = []
  await Promise.all(
    [4, 4, 64, 2, 2, 2, 2, 2].map((bytes, i) =>
      budget.run(bytes, async () => {
        started.push(i)
        running.add(i)
        together.push([...running])
        await new Promise((resolve) => setImmediate(resolve))
        running.delete(i)
      }),
    ),
  )
  assert.deepEqual(started, [0, 1, 2, 3, 4, 5, 6, 7])
  assert.deepEqual(together[2], [2], 'the huge one alone')
  assert.equal(Math.max(...together.map((group) => group.length)), 4)
})

test('a failure gives its room back', async () => {
  const budget = new MemoryBudget(1)
  await assert.rejects(
    budget.run(1, () => Promise.reject(new Error('x'))),
    /x/,
  )
  assert.equal(await budget.run(1, async () => 7), 7)
})
