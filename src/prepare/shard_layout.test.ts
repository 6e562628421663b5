import assert from 'node:assert/strict'
import { test } from 'node:test'
import { orderCases, planShards } from './shard_layout.ts'

for (const [numCases, sampleBytes, shardBytes] of [
  [1, 10, 5],
  [9, 10, 30],
  [600, 9216, 64e6],
  [112_120, 50176, 64e6],
] as const) {
  test(`${numCases} cases of ${sampleBytes} bytes each lie in exactly one shard of at most ${shardBytes} bytes`, () => {
    const shards = planShards(numCases, sampleBytes, shardBytes)
    assert.equal(shards[0]?.start, 0)
    assert.equal(shards.at(-1)?.end, numCases)
    for (const [k, { start, end }] of shards.entries()) {
      assert.ok(end > start, 'no shard is empty')
      assert.equal(start, shards[k - 1]?.end ?? 0)
      assert.ok(end - start === 1 || (end - start) * sampleBytes <= shardBytes)
    }
    const sizes = shards.map(({ start, end }) => end - start)
    assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1, 'shards are even')
  })
}

test('no case, no shard', () => assert.deepEqual(planShards(0, 10, 100), []))

test('a small set is cut so that several workers have a share', () => {
  assert.equal(planShards(600, 9216, 64e6).length, 9)
  assert.equal(planShards(10, 9216, 64e6).length, 1)
})

test('the order of cases does not depend on the order of the source, and mixes classes', () => {
  const cases = Array.from({ length: 200 }, (_, i) => ({ case_id: `${i < 100 ? 'normal' : 'sick'}/${i}` }))
  const ordered = orderCases(cases)
  assert.deepEqual(orderCases(cases.toReversed()), ordered)
  const sickInFirstHalf = ordered.slice(0, 100).filter((one) => one.case_id.startsWith('sick')).length
  assert.ok(sickInFirstHalf > 35 && sickInFirstHalf < 65, `${sickInFirstHalf} of 100`)
})
