import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { prepareSlice } from './run.ts'
import { killFresh, prepareInProcess } from './testing/kill_points.ts'
import { digestSet, prepareSmall, smallCases, smallRecipe, writeDataSet } from './testing/small_data_set.ts'

let dir: string
let root: string
let whole: Record<string, string>
let changes: number
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-resume-'))
  root = join(dir, 'data')
  await writeDataSet(root, smallCases(40))
  const work = join(dir, 'whole')
  ;({ changes } = await prepareInProcess({ root, work, workers: 2 }))
  whole = await digestSet((await prepareSmall(smallRecipe(root), work)).dir)
})
after(() => rm(dir, { recursive: true }))

const fresh = (name: string) => async () => {
  const work = join(dir, name)
  await rm(work, { recursive: true, force: true })
  return { root, work, workers: 2 }
}

for (const [share, whom] of [
  [0.15, 'process'],
  [0.5, 'group'],
  [0.9, 'process'],
] as const)
  test(`killed after ${share} of its writes (${whom}), the next run ends with the same bytes`, async () => {
    const { work } = await killFresh(fresh(`killed-${share}`), Math.round(share * changes), whom)
    const { dir: set } = await prepareSmall(smallRecipe(root), work, { workers: 1 })
    assert.deepEqual(await digestSet(set), whole)
    const left = (await readdir(join(work, 'prepared'))).filter((name) => name.startsWith('.'))
    assert.deepEqual(left, [], 'no staging folder, no lock')
  })

test('a shard that a failing disk cut short is noticed and made again, the finished ones are kept', async () => {
  // Half of the shards finished, as one of two slices leaves them.
  const work = join(dir, 'torn')
  await prepareSlice(
    smallRecipe(root),
    { index: 1, count: 2 },
    {
      root,
      prepared: join(work, 'prepared'),
      workers: 1,
      log: () => {},
      signal: new AbortController().signal,
    },
  )
  const staging = (await readdir(join(work, 'prepared'))).find((name) => name.startsWith('.staging-'))!
  const shards = join(work, 'prepared', staging, 'set/shards')
  const finished = (await readdir(shards)).filter((name) => name.endsWith('.report.json'))
  assert.deepEqual(finished, ['00000.report.json', '00002.report.json'])
  await truncate(join(shards, '00002.safetensors'), 700)
  const { dir: set, log } = await prepareSmall(smallRecipe(root), work)
  assert.deepEqual(await digestSet(set), whole)
  assert.ok(
    log.some((line) => line.includes('1 of 4 shards are finished already')),
    log.join('\n'),
  )
})
