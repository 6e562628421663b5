import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { TableCase } from '../schema/shard_set.ts'
import { readSafetensors } from '../storage/safetensors.ts'
import type { PreparedSet } from './run.ts'
import { storedCases } from './shard_set.ts'
import { readLines } from './staging.ts'
import {
  prepareSmall,
  type SmallCase,
  smallCases,
  smallRecipe,
  writeDataSet,
  writeTable,
} from './testing/small_data_set.ts'

let dir: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-update-'))
})
after(() => rm(dir, { recursive: true }))

const split = { val: 0.25, test: 0.25, seed: 0 }

/** A data set, prepared. */
async function start(name: string, count = 40) {
  const root = join(dir, name, 'data')
  const work = join(dir, name)
  const cases = smallCases(count)
  await writeDataSet(root, cases)
  const recipe = smallRecipe(root, { data: { split } })
  return { root, work, cases, recipe, first: await prepareSmall(recipe, work) }
}

/** Patient → part, as the set's split table says. */
async function placesOf({ dir: set, split: table, labels }: PreparedSet): Promise<Map<string, number>> {
  const cases = await readLines(
    join(set, `tables/labels-${labels.labels_id.slice(0, 12)}/cases.jsonl`),
    TableCase,
  )
  const { part } = await readSafetensors(
    join(set, `tables/split-${table.split_id.slice(0, 12)}/split.safetensors`),
  )
  return new Map(cases!.map((one, i) => [one.patient_id, Number(part!.data[i])]))
}

function assertNobodyMoved(before: Map<string, number>, after: Map<string, number>): void {
  for (const [patient, place] of after)
    if (before.has(patient)) assert.equal(place, before.get(patient), patient)
}

/** Grows by 16 cases, loses 3, and one image changes. */
async function change(root: string, cases: readonly SmallCase[]): Promise<SmallCase[]> {
  await rm(join(root, 'images/c0009.png'))
  const changed = cases.map((one) => (one.id === 'c0009' ? { ...one, seed: 9999 } : one))
  const now = [...smallCases(16, cases.length), ...changed.slice(3)]
  await writeDataSet(root, now)
  return now
}

test('an update adds, changes and withdraws cases, makes the touched shards alone, and moves no patient', async () => {
  const { root, work, cases, recipe, first } = await start('grown', 80)
  const now = await change(root, cases)
  const second = await prepareSmall(recipe, work, { update: true })
  assert.notEqual(second.dir, first.dir)
  assert.notEqual(second.result.set_id, first.result.set_id)
  assert.ok(
    second.log.some((line) => line.includes('16 cases added, 1 changed, 3 withdrawn')),
    second.log.join('\n'),
  )
  assert.deepEqual(
    (await storedCases(second.dir, second.index)).map((one) => one.case_id).sort(),
    now.map((one) => one.id).sort(),
  )

  const kept = second.index.shards.filter(({ file }) => first.index.shards.some((old) => old.file === file))
  assert.ok(kept.length >= 2, `${kept.length} shards kept`)
  for (const { file } of kept)
    assert.equal(
      (await stat(join(second.dir, file))).ino,
      (await stat(join(first.dir, file))).ino,
      'linked, not copied',
    )

  const [before, after] = [await placesOf(first), await placesOf(second)]
  assertNobodyMoved(before, after)
  assert.ok([...after.keys()].some((patient) => !before.has(patient)))
  assert.equal(second.split.patients.test, 12, 'a quarter of 47 patients, new ones filling what is lacking')
})

test('after an update a plain prepare finds its set and its split', async () => {
  const { root, work, cases, recipe } = await start('found')
  await change(root, cases)
  const updated = await prepareSmall(recipe, work, { update: true })
  const plain = await prepareSmall(recipe, work)
  assert.equal(plain.result.reused, true)
  assert.equal(plain.dir, updated.dir)
  assert.equal(plain.split.split_id, updated.split.split_id)
})

test('patients stay where they are through several updates, coming back included', async () => {
  const { root, work, cases, recipe, first } = await start('several')
  let places = await placesOf(first)
  const steps = [
    cases.slice(8),
    [...cases.slice(8), ...smallCases(20, 40)],
    [...smallCases(30, 40), ...cases],
  ]
  for (const step of steps) {
    await writeDataSet(root, step)
    const now = await placesOf(await prepareSmall(recipe, work, { update: true }))
    assertNobodyMoved(places, now)
    places = new Map([...places, ...now])
  }
  assert.equal(places.size, 35)
})

test('corrected labels alone, with --update, move no patient and rewrite no pixel', async () => {
  const { root, work, cases, recipe, first } = await start('relabelled')
  const before = await placesOf(first)
  await writeTable(
    root,
    cases.map((one, i) => ({ ...one, finding: i % 5 === 0 ? 1 : 0 })),
  )
  const second = await prepareSmall(recipe, work, { update: true })
  assert.equal(second.dir, first.dir)
  assert.notEqual(second.labels.labels_id, first.labels.labels_id)
  assertNobodyMoved(before, await placesOf(second))
})

test('every fold keeps its patients, those not looked at before included', async () => {
  const root = join(dir, 'folds/data')
  const work = join(dir, 'folds')
  await writeDataSet(root, smallCases(40))
  const fold = (k: number) => smallRecipe(root, { data: { split: { folds: 4, fold: k, seed: 1 } } })
  await prepareSmall(fold(0), work)
  const before = await Promise.all([1, 2].map(async (k) => placesOf(await prepareSmall(fold(k), work))))
  await writeDataSet(root, smallCases(60))
  await prepareSmall(fold(0), work, { update: true })
  for (const [i, k] of [1, 2].entries())
    assertNobodyMoved(before[i]!, await placesOf(await prepareSmall(fold(k), work)))
})

test('in a folder of its own an update replaces the set, and leaves no file of the old one', async () => {
  const root = join(dir, 'own/data')
  const work = join(dir, 'own')
  const out = join(work, 'set')
  const cases = smallCases(40)
  await writeDataSet(root, cases)
  const recipe = smallRecipe(root, { data: { split } })
  const first = await prepareSmall(recipe, work, { out })
  const before = await placesOf(first)
  await change(root, cases)
  const second = await prepareSmall(recipe, work, { out, update: true })
  assert.equal(second.dir, out)
  assertNobodyMoved(before, await placesOf(second))
  const listed = second.index.shards.map(({ file }) => file.split('/')[1]!.split('.')[0])
  const present = new Set((await readdir(join(out, 'shards'))).map((name) => name.split('.')[0]))
  assert.deepEqual([...present].sort(), listed.sort())
  assert.equal((await readdir(join(out, 'tables'))).length, 3, 'labels, split and what was kept')
  assert.equal((await prepareSmall(recipe, work, { out })).result.reused, true)
})

test('changed pixels, such as another size, keep the split of an updated set', async () => {
  const { root, work, recipe, cases } = await start('resized')
  await writeDataSet(root, [...cases, ...smallCases(10, 40)])
  const before = await placesOf(await prepareSmall(recipe, work, { update: true }))
  const larger = smallRecipe(root, { data: { split }, prepare: { size: [14, 18] } })
  const after = await placesOf(await prepareSmall(larger, work, { update: true }))
  assert.deepEqual([...after].sort(), [...before].sort())
})

test('without --update a set of nearly the same cases is mentioned', async () => {
  const { root, work, recipe, cases } = await start('mentioned')
  await writeTable(root, cases.slice(1))
  const { log } = await prepareSmall(recipe, work)
  assert.ok(log.some((line) => line.includes('39 of these 39 cases') && line.includes('--update')))
})

test('a first --update makes a new set and says so', async () => {
  const root = join(dir, 'first/data')
  await writeDataSet(root, smallCases(20))
  const { log, result } = await prepareSmall(smallRecipe(root), join(dir, 'first'), { update: true })
  assert.equal(result.cases, 20)
  assert.ok(log.some((line) => line.startsWith('There is no earlier set')))
})

test('a case that could not be read is tried again, and comes in when it was mended', async () => {
  const root = join(dir, 'mended/data')
  const work = join(dir, 'mended')
  await writeDataSet(root, smallCases(40))
  const path = join(root, 'images/c0011.png')
  const sound = await readFile(path)
  await writeFile(path, 'broken')
  const recipe = smallRecipe(root, { data: { max_quarantined: 1 } })
  assert.equal((await prepareSmall(recipe, work)).result.quarantined.length, 1)
  await writeFile(path, sound)
  const second = await prepareSmall(recipe, work, { update: true })
  assert.deepEqual([second.result.cases, second.result.quarantined], [40, []])
})
