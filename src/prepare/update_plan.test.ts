import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planUpdate } from './update_plan.ts'

const hashed = (ids: readonly string[], hash = 'h') =>
  ids.map((case_id) => ({ case_id, sha256: `${hash}-${case_id}` }))
const many = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}${i}`)
const base = [
  { name: '00000', cases: hashed(['a', 'b']) },
  { name: '00001', cases: hashed(['c', 'd']) },
  { name: '00002', cases: hashed(many('e', 70)) },
]
const all = base.flatMap((shard) => shard.cases)

test('unchanged cases keep every shard, in whatever order they come', () => {
  const plan = planUpdate(base, all.toReversed(), 100)
  assert.ok(plan.shards.every((shard) => shard.cases === null))
  assert.deepEqual([plan.appended, plan.added, plan.changed, plan.withdrawn], [[], 0, 0, 0])
})

test('a changed file touches its shard alone', () => {
  const plan = planUpdate(base, [...hashed(['c'], 'new'), ...all.filter((one) => one.case_id !== 'c')], 100)
  assert.deepEqual(
    plan.shards.map((shard) => shard.cases),
    [null, ['c', 'd'], null],
  )
  assert.equal(plan.changed, 1)
})

test('a withdrawn case leaves no hole, and an emptied shard goes', () => {
  const without = planUpdate(
    base,
    all.filter((one) => one.case_id !== 'a'),
    100,
  )
  assert.deepEqual(
    without.shards.map((shard) => shard.cases),
    [['b'], null, null],
  )
  const emptied = planUpdate(
    base,
    all.filter((one) => !['c', 'd'].includes(one.case_id)),
    100,
  )
  assert.deepEqual(
    emptied.shards.map((shard) => shard.name),
    ['00000', '00002'],
  )
  assert.equal(emptied.withdrawn, 2)
})

test('new cases come after the others', () => {
  const plan = planUpdate(base, [...hashed(['new']), ...all], 100)
  assert.deepEqual(
    plan.shards.map((shard) => shard.cases),
    [null, null, null],
  )
  assert.deepEqual(plan.appended, ['new'])
})

test('a small last shard is filled up first', () => {
  const small = [...base, { name: '00003', cases: hashed(['y', 'z']) }]
  const plan = planUpdate(small, [...all, ...hashed(['y', 'z', ...many('n', 100)])], 100)
  assert.deepEqual(plan.shards[3]?.cases, ['y', 'z', ...many('n', 62)])
  assert.equal(plan.appended.length, 38)
})

test('a small last shard is not filled beyond what a shard may hold', () => {
  const small = [...base, { name: '00003', cases: hashed(['y', 'z']) }]
  const plan = planUpdate(small, [...all, ...hashed(['y', 'z', ...many('n', 100)])], 10)
  assert.equal(plan.shards[3]?.cases?.length, 10)
})
