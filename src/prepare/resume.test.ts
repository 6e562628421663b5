import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { killPrepare, prepareInProcess } from './testing/kill_points.ts'
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

for (const [share, whom] of [
  [0.15, 'process'],
  [0.5, 'group'],
  [0.9, 'process'],
] as const)
  test(`killed after ${share} of its writes (${whom}), the next run ends with the same bytes`, async () => {
    const work = join(dir, `killed-${share}`)
    const wasKilled = await killPrepare({ root, work, workers: 2 }, Math.round(share * changes), whom)
    const { dir: set, result } = await prepareSmall(smallRecipe(root), work, { workers: 1 })
    assert.deepEqual(await digestSet(set), whole)
    if (wasKilled && share < 0.6) assert.equal(result.reused, false)
    const left = (await readdir(join(work, 'prepared'))).filter((name) => name.startsWith('.'))
    assert.deepEqual(left, [], 'no staging folder, no lock')
  })

test('a shard that a failing disk cut short is noticed and made again, the finished ones are kept', async () => {
  const work = join(dir, 'torn')
  await killPrepare({ root, work, workers: 1 }, Math.round(0.7 * changes), 'group')
  const staging = (await readdir(join(work, 'prepared'))).find((name) => name.startsWith('.staging-'))
  assert.ok(staging, 'the kill came before the end')
  const shards = join(work, 'prepared', staging, 'set/shards')
  const finished = (await readdir(shards)).filter((name) => name.endsWith('.report.json'))
  assert.ok(finished.length >= 1)
  await truncate(join(shards, finished[0]!.replace('.report.json', '.safetensors')), 700)
  const { dir: set, log } = await prepareSmall(smallRecipe(root), work)
  assert.deepEqual(await digestSet(set), whole)
  if (finished.length > 1)
    assert.ok(
      log.some((line) => line.includes(`${finished.length - 1} of 4 shards`)),
      log.join('\n'),
    )
})
