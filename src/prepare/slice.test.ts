import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { UserError } from '../schema/errors.ts'
import { lockFolder } from './folder_lock.ts'
import { stagingKey } from './identity.ts'
import { setPlace } from './place.ts'
import { readRequest } from './request.ts'
import { parseSlice, prepareSlice } from './run.ts'
import { digestSet, prepareSmall, smallCases, smallRecipe, writeDataSet } from './testing/small_data_set.ts'

let dir: string
let root: string
let whole: Record<string, string>
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-slice-'))
  root = join(dir, 'data')
  await writeDataSet(root, smallCases(40))
  whole = await digestSet((await prepareSmall(smallRecipe(root), join(dir, 'whole'))).dir)
})
after(() => rm(dir, { recursive: true }))

const slice = (text: string, work: string) =>
  prepareSlice(smallRecipe(root), parseSlice(text), {
    root,
    prepared: join(dir, work, 'prepared'),
    workers: 1,
    log: () => {},
    signal: new AbortController().signal,
  })

test('slices in any order, two of them at once, make the same bytes; the last publishes', async () => {
  const third = await slice('3/3', 'sliced')
  assert.equal(third.set, null)
  assert.deepEqual([third.shards, third.missing], [1, 3])
  const both = await Promise.all([slice('1/3', 'sliced'), slice('2/3', 'sliced')])
  const sets = both.flatMap(({ set }) => (set === null ? [] : [set]))
  assert.ok(sets.length >= 1)
  assert.deepEqual(await digestSet(sets[0]!.dir), whole)
  const late = await slice('2/3', 'sliced')
  assert.equal(late.set?.result.reused, true)
})

test('a merge names the shards that are missing, and a plain prepare makes them', async () => {
  await slice('1/2', 'merged')
  const work = join(dir, 'merged')
  await assert.rejects(
    prepareSmall(smallRecipe(root), work, { mergeOnly: true }),
    (error) =>
      error instanceof UserError && /2 of 4 shards are not made yet \(00001, 00003\)/.test(error.message),
  )
  const { dir: set, log } = await prepareSmall(smallRecipe(root), work)
  assert.ok(log.some((line) => line.startsWith('Going on: 2 of 4 shards')))
  assert.deepEqual(await digestSet(set), whole)
})

test('a slice waits neither for other slices nor beside a whole run or another number of slices', async () => {
  const work = join(dir, 'locked')
  const request = await readRequest(smallRecipe(root), root)
  const place = setPlace(
    { prepared: join(work, 'prepared') },
    stagingKey(request.prepare, request.cases, null),
  )
  for (const other of ['all', 'slice-1-of-7', 'slice-2-of-2']) {
    const lock = await lockFolder(place.locks, other)
    await assert.rejects(slice('2/2', 'locked'), /Another process is preparing this set/)
    await lock.release()
  }
  const lock = await lockFolder(place.locks, 'slice-1-of-2')
  assert.equal((await slice('2/2', 'locked')).shards, 2)
  await lock.release()
})

for (const text of ['0/2', '3/2', '2', 'a/b', '1/0', '-1/2', '1/2/3', '1/99999999'])
  test(`--slice ${text} is refused`, () => {
    assert.throws(() => parseSlice(text), /expected i\/n .* at most 999999,/)
  })
