import assert from 'node:assert/strict'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { randomSource } from '../imaging/testing/samples.ts'
import { killFresh, killPrepare, prepareInProcess } from './testing/kill_points.ts'
import { digestSet, prepareSmall, smallCases, smallRecipe, writeDataSet } from './testing/small_data_set.ts'

let dir: string
let root: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-kill-'))
  root = join(dir, 'data')
  await writeDataSet(root, smallCases(60))
})
after(() => rm(dir, { recursive: true }))

test('after kill -9 at 20 seeded points, and again while going on, prepare ends with the same bytes', async () => {
  const reference = join(dir, 'whole')
  const { changes } = await prepareInProcess({ root, work: reference, workers: 2 })
  const whole = await digestSet((await prepareSmall(smallRecipe(root), reference)).dir)
  const next = randomSource(2026)
  for (let point = 0; point < 20; point++) {
    const work = join(dir, `point-${point}`)
    const at = 1 + (next() % changes)
    const workers = 1 + (next() % 3)
    const whom = next() % 2 === 0 ? 'process' : 'group'
    const own = point % 4 === 3 ? { out: join(work, 'prepared/own') } : {}
    const fresh = async () => {
      await rm(work, { recursive: true, force: true })
      return { root, work, workers, ...own }
    }
    await killFresh(fresh, at, whom)
    if (point % 2 === 1)
      await killPrepare({ root, work, workers: 2, ...own }, 1 + (next() % changes), 'group')
    const { dir: set } = await prepareSmall(smallRecipe(root), work, { workers: 1 + (next() % 3), ...own })
    assert.deepEqual(await digestSet(set), whole, `point ${point}: change ${at} of ${changes}, ${whom}`)
  }
})

for (const where of ['below prepared/', 'in a folder of its own'] as const)
  test(`an update ${where}, killed at 10 seeded points, ends with the same bytes`, async () => {
    const name = where.replace(/\W+/g, '-')
    const base = join(dir, `base-${name}`)
    const outOf = (work: string) => (where === 'below prepared/' ? {} : { out: join(work, 'prepared/own') })
    await prepareSmall(smallRecipe(root), base, outOf(base))
    const grown = join(dir, `grown-${name}`)
    await cp(root, grown, { recursive: true, preserveTimestamps: true })
    await writeDataSet(grown, [...smallCases(60).slice(3), ...smallCases(15, 60)])
    const copyOfBase = async (suffix: string) => {
      const work = join(dir, `${name}-${suffix}`)
      await rm(work, { recursive: true, force: true })
      await cp(base, work, { recursive: true, preserveTimestamps: true })
      return { root: grown, work, workers: 2, update: true, ...outOf(work) }
    }
    const reference = await copyOfBase('whole')
    const { changes } = await prepareInProcess(reference)
    // Once more: an update of what is up to date already notes where the new patients are, and changes nothing else.
    const again = (work: string) => prepareSmall(smallRecipe(grown), work, { update: true, ...outOf(work) })
    const whole = await digestSet((await again(reference.work)).dir)
    const next = randomSource(7)
    for (let point = 0; point < 10; point++) {
      const options = await killFresh(() => copyOfBase(`${point}`), 1 + (next() % changes), 'group')
      await again(options.work)
      const { dir: set } = await again(options.work)
      assert.deepEqual(await digestSet(set), whole, `point ${point}`)
    }
  })
