import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { parseRecipe } from '../schema/parse.ts'
import { writeDecathlonLayout } from '../sources/volume_layout_fixture.ts'
import { dryRunPrepare } from './dry_run.ts'
import { prepareShards } from './run.ts'

const base = await mkdtemp(join(tmpdir(), 'fiducial-dry-volumes-'))
after(() => rm(base, { recursive: true }))

const recipeOf = (root: string, source: object, labels: object) =>
  parseRecipe(
    {
      name: 'dry',
      data: { root, source, split: { val: 0.25, test: 0.25 } },
      prepare: { spacing_mm: [3, 2, 2.5] },
      task: { kind: 'segment', labels },
    },
    'a recipe of a test',
  )
const options = (root: string) => ({
  root,
  prepared: join(base, 'prepared'),
  workers: 1,
  log() {},
  signal: new AbortController().signal,
})

test('volumes that are still to be made are planned from their parameters: nothing is made, the bytes are stated', async () => {
  const root = join(base, 'phantom')
  const recipe = recipeOf(
    root,
    { kind: 'phantom_volumes', patients: 5, voxel_mm: 5 },
    { Organ: 1, Lesion: 2 },
  )
  const dry = await dryRunPrepare(recipe, options(root))
  assert.equal(existsSync(root), false)
  const { result } = await prepareShards(recipe, options(root))
  assert.deepEqual([dry.cases, dry.shards, dry.reused], [result.cases, result.shards, false])
  assert.ok(Math.abs(dry.bytes / result.bytes - 1) < 0.2, `${dry.bytes} of ${result.bytes}`)
})

test('of volumes that are there the headers say how large the set will be, and no voxel is stored', async () => {
  const root = join(base, 'decathlon')
  const shape = [12, 14, 10] as const
  await writeDecathlonLayout(
    root,
    ['a', 'b', 'c', 'd'].map((name) => ({ name, shape })),
  )
  const recipe = recipeOf(root, { kind: 'decathlon' }, { Anterior: 1, Posterior: 2 })
  const before = await readdir(base)
  const dry = await dryRunPrepare(recipe, options(root))
  assert.deepEqual(await readdir(base), before)
  const { result } = await prepareShards(recipe, options(root))
  assert.equal(dry.cases, result.cases)
  // Image and mask; what comes besides, of small volumes, is the index of foreground voxels and a header.
  assert.ok(
    dry.bytes < result.bytes && result.bytes < dry.bytes + 4 * 40_000,
    `${dry.bytes} of ${result.bytes}`,
  )
})

test('a split that the patients cannot fill is refused before anything is decoded, and by a dry run', async () => {
  const root = join(base, 'few')
  await writeDecathlonLayout(
    root,
    ['a', 'b'].map((name) => ({ name })),
  )
  const recipe = recipeOf(root, { kind: 'decathlon' }, { Anterior: 1, Posterior: 2 })
  recipe.data.split = { folds: 5, fold: 0, seed: 0 }
  const before = await readdir(base)
  for (const verb of [dryRunPrepare, prepareShards])
    await assert.rejects(verb(recipe, options(root)), /2 patients cannot fill 5 parts/)
  assert.deepEqual(await readdir(base), before)
})
