import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { preprocess } from '../imaging/preprocess.ts'
import { AttentionError, StoppedError, UserError } from '../schema/errors.ts'
import type { ImageSpec } from '../schema/preprocess.ts'
import { ShardIndex } from '../schema/shard_set.ts'
import { writeAtomic } from '../storage/local.ts'
import { readSafetensors } from '../storage/safetensors.ts'
import { lockFolder } from './folder_lock.ts'
import { ShardError, verifyShards } from './repair.ts'
import { storedCases } from './shard_set.ts'
import { pixelStatistics } from './statistics.ts'
import {
  digestPixels,
  digestSet,
  prepareSmall,
  smallCases,
  smallRecipe,
  writeDataSet,
  writeTable,
} from './testing/small_data_set.ts'

let dir: string
let root: string
/** A working folder with the set of `root` in it, for tests that find it and leave it as it is. */
let shared: string
const cases = smallCases(24)
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-prepare-'))
  root = join(dir, 'data')
  shared = join(dir, 'shared')
  await writeDataSet(root, cases)
  await prepareSmall(smallRecipe(root), shared)
})
after(() => rm(dir, { recursive: true }))

let works = 0
/** A new working folder for each test. */
const workFolder = () => join(dir, `work-${works++}`)

test('the bytes are the same for 1, 2 and 3 workers', async () => {
  const [one, two, three] = [workFolder(), workFolder(), workFolder()]
  const sets = [
    await prepareSmall(smallRecipe(root), one, { workers: 1 }),
    await prepareSmall(smallRecipe(root), two, { workers: 2 }),
    await prepareSmall(smallRecipe(root), three, { workers: 3 }),
  ]
  const [first, ...others] = await Promise.all(sets.map((set) => digestSet(set.dir)))
  assert.ok(Object.keys(first!).length > 15)
  for (const other of others) assert.deepEqual(other, first)
  assert.deepEqual(await readdir(join(one, 'prepared')), [sets[0]!.result.set_id.slice(0, 12), 'private'])
})

test('every row is what preprocess makes of its file, and every shard is within its limit', async () => {
  const { dir: set, index } = await prepareSmall(smallRecipe(root), shared)
  assert.deepEqual(ShardIndex.parse(JSON.parse(await readFile(join(set, 'index.json'), 'utf8'))), index)
  assert.equal(index.num_cases, 24)
  assert.equal(index.shards.length, 3)
  const stored = await storedCases(set, index)
  let position = 0
  for (const shard of index.shards) {
    const { image } = await readSafetensors(join(set, shard.file))
    assert.deepEqual(image?.shape, [shard.num_cases, 1, 12, 16])
    assert.ok(image.data.byteLength <= 1920)
    for (let row = 0; row < shard.num_cases; row++) {
      const file = await readFile(join(root, `images/${stored[position++]!.case_id}.png`))
      const { data } = await preprocess(file, index.preprocess as ImageSpec)
      assert.deepEqual(image.data.slice(row * 192, (row + 1) * 192), data)
    }
  }
})

test('a second prepare finds the set without reading an image', async () => {
  const still = join(dir, 'still')
  const work = workFolder()
  await writeDataSet(still, cases.slice(0, 12))
  const path = join(still, 'images/c0003.png')
  const time = new Date('2020-01-01T00:00:00Z')
  await utimes(path, time, time)
  const first = await prepareSmall(smallRecipe(still), work)
  // Other bytes under the same size and time: whoever reads them would notice.
  await writeFile(path, Buffer.alloc((await readFile(path)).length))
  await utimes(path, time, time)
  const second = await prepareSmall(smallRecipe(still), work)
  assert.deepEqual([first.result.reused, second.result.reused], [false, true])
  assert.equal(second.result.set_id, first.result.set_id)
  assert.deepEqual(second.split, first.split)
})

test('a file that was only touched is hashed again and the set is found', async () => {
  const work = shared
  await utimes(join(root, 'images/c0005.png'), new Date(), new Date())
  assert.equal((await prepareSmall(smallRecipe(root), work)).result.reused, true)
})

test('the order of the table does not matter', async () => {
  const work = shared
  const first = await prepareSmall(smallRecipe(root), work)
  await writeTable(root, cases.toReversed())
  const second = await prepareSmall(smallRecipe(root), work)
  await writeTable(root, cases)
  assert.equal(second.result.reused, true)
  assert.equal(second.split.split_id, first.split.split_id)
})

test('a new split, fold or label makes tables and rewrites no pixel', async () => {
  const work = shared
  const first = await prepareSmall(smallRecipe(root), work)
  const folds = await prepareSmall(smallRecipe(root, { data: { split: { folds: 4, fold: 1 } } }), work)
  await writeTable(root, [{ ...cases[0]!, finding: '' }, ...cases.slice(1)])
  const relabelled = await prepareSmall(smallRecipe(root), work)
  await writeTable(root, cases)
  for (const other of [folds, relabelled]) {
    assert.equal(other.result.reused, true)
    assert.equal(other.dir, first.dir)
    assert.notEqual(other.split.split_id, first.split.split_id)
  }
  assert.equal(folds.labels.labels_id, first.labels.labels_id)
  assert.notEqual(relabelled.labels.labels_id, first.labels.labels_id)
  const table = join(
    first.dir,
    `tables/labels-${relabelled.labels.labels_id.slice(0, 12)}/labels.safetensors`,
  )
  assert.ok((await readSafetensors(table)).labels!.data.includes(-1 as never), 'an unknown label is -1')
})

test('mean and standard deviation are those of the training pixels', async () => {
  const { dir: set, index, split } = await prepareSmall(smallRecipe(root), shared)
  const { part } = await readSafetensors(
    join(set, `tables/split-${split.split_id.slice(0, 12)}/split.safetensors`),
  )
  const values: number[] = []
  let position = 0
  for (const shard of index.shards) {
    const { image } = await readSafetensors(join(set, shard.file))
    for (let row = 0; row < shard.num_cases; row++)
      if (part!.data[position++] === 1)
        for (const value of image!.data.slice(row * 192, (row + 1) * 192)) values.push(Number(value) / 255)
  }
  assert.equal(values.length, split.cases.train * 192)
  const mean = values.reduce((a, b) => a + b) / values.length
  const std = Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length)
  assert.ok(Math.abs(split.normalization.mean[0]! - mean) < 1e-12)
  assert.ok(Math.abs(split.normalization.std[0]! - std) < 1e-12)
})

test('prepare.normalize: imagenet, none and named values are taken as they are', async () => {
  const work = shared
  const normalization = async (normalize: unknown) =>
    (await prepareSmall(smallRecipe(root, { prepare: { normalize } }), work)).split.normalization
  assert.deepEqual(await normalization('none'), { offset: 0, scale: 1 / 255, mean: [0], std: [1] })
  assert.deepEqual((await normalization('imagenet')).mean, [0.449])
  assert.deepEqual((await normalization({ mean: [0.25], std: [0.5] })).std, [0.5])
  await assert.rejects(
    normalization({ mean: [0.1, 0.2], std: [1, 1] }),
    /2 means and 2 standard deviations for 1 channel;/,
  )
})

test('16-bit images are stored as int16, their mean and std in 0..1', async () => {
  const deep = join(dir, 'deep')
  await writeDataSet(
    deep,
    smallCases(12, 500).map((one) => ({ ...one, bits: 16 as const })),
  )
  const { index, split, dir: set } = await prepareSmall(smallRecipe(deep), workFolder())
  assert.equal(index.dtype, 'int16')
  const { image } = await readSafetensors(join(set, index.shards[0]!.file))
  assert.ok(image?.data instanceof Int16Array)
  assert.equal(split.normalization.offset, 32768)
  assert.ok(split.normalization.mean[0]! > 0.4 && split.normalization.mean[0]! < 0.6)
  assert.ok(split.normalization.std[0]! > 0.05 && split.normalization.std[0]! < 0.5)
})

test('unreadable files are quarantined with the reason, leave no hole, and change nothing else', async () => {
  const broken = join(dir, 'broken')
  const some = smallCases(24, 100)
  await writeDataSet(broken, some)
  const lame = ['c0102', 'c0110', 'c0111']
  await writeFile(join(broken, 'images/c0102.png'), '')
  await truncate(join(broken, 'images/c0110.png'), 200)
  await writeFile(join(broken, 'images/c0111.png'), 'This is a text.')
  const recipe = smallRecipe(broken, { data: { max_quarantined: 3 } })
  const [one, three] = [workFolder(), workFolder()]
  const set = await prepareSmall(recipe, one, { workers: 1 })
  assert.deepEqual(
    set.result.quarantined.map((q) => q.case_id),
    lame,
  )
  for (const { reason, file } of set.result.quarantined) {
    assert.match(file, /^images\/c01/)
    assert.match(reason, /do:/)
  }
  assert.equal(set.index.num_cases, 21)
  assert.deepEqual(
    await digestSet((await prepareSmall(recipe, three, { workers: 3 })).dir),
    await digestSet(set.dir),
  )
  const again = await prepareSmall(recipe, one)
  assert.equal(again.result.reused, true)
  assert.deepEqual(again.result.quarantined, set.result.quarantined)

  await assert.rejects(
    prepareSmall(smallRecipe(broken, { data: { max_quarantined: 2 } }), one),
    (error) => error instanceof AttentionError && error.exitCode === 3,
    'a recipe that became stricter refuses the set that is there',
  )
  // The same pixels without the lame cases: the set is the same.
  await writeTable(
    broken,
    some.filter(({ id }) => !lame.includes(id)),
  )
  const without = await prepareSmall(recipe, one)
  assert.equal(without.dir, set.dir)
  assert.deepEqual(without.result.quarantined, [])
})

test('more unreadable files than allowed publish nothing; mended, the same command goes on', async () => {
  const broken = join(dir, 'mended')
  const work = workFolder()
  const some = smallCases(24, 200)
  await writeDataSet(broken, some)
  const path = join(broken, 'images/c0207.png')
  const sound = await readFile(path)
  await truncate(path, 100)
  await assert.rejects(
    prepareSmall(smallRecipe(broken), work),
    (error) =>
      error instanceof AttentionError &&
      error.exitCode === 3 &&
      /1 cases? could not be read; at most 0 may be/.test(error.message) &&
      error.message.includes('c0207'),
  )
  assert.deepEqual(
    (await readdir(join(work, 'prepared'))).filter((name) => /^[0-9a-f]{12}$/.test(name)),
    [],
  )
  await writeFile(path, sound)
  const { result, log } = await prepareSmall(smallRecipe(broken), work)
  assert.equal(result.cases, 24)
  assert.ok(log.some((line) => line.startsWith('Going on: 2 of 3 shards')))
})

test('a file that the table lists and that is not there counts as quarantined', async () => {
  const missing = join(dir, 'missing')
  await writeDataSet(missing, smallCases(20, 300))
  await rm(join(missing, 'images/c0304.png'))
  await assert.rejects(
    prepareSmall(smallRecipe(missing), workFolder()),
    (error) => error instanceof AttentionError && /No other file has been read yet/.test(error.message),
  )
  const { result } = await prepareSmall(
    smallRecipe(missing, { data: { max_quarantined: '5%' } }),
    workFolder(),
  )
  assert.equal(result.cases, 19)
  assert.equal(result.quarantined[0]?.file, 'images/c0304.png')
})

test('a folder named by --out is made, found again, and refused to another recipe', async () => {
  const work = workFolder()
  const out = join(work, 'mine')
  const first = await prepareSmall(smallRecipe(root), work, { out })
  assert.equal(first.dir, out)
  assert.equal((await prepareSmall(smallRecipe(root), work, { out })).result.reused, true)
  const refusal = (message: RegExp) => (error: unknown) =>
    error instanceof UserError && error.exitCode === 2 && message.test(error.message)
  await assert.rejects(
    prepareSmall(smallRecipe(root, { prepare: { size: 8 } }), work, { out }),
    refusal(/holds another shard set: 24 cases[\s\S]*--out/),
  )
  await assert.rejects(
    prepareSmall(smallRecipe(root), work, { out: root }),
    refusal(/is not empty and holds no shard set \(images, labels.csv\)/),
  )
  await assert.rejects(
    prepareSmall(smallRecipe(root), work, { out: join(root, 'labels.csv') }),
    refusal(/^--out .*labels\.csv: .*labels\.csv is a file;/),
  )
})

test('a second process into one folder is told who is at work', async () => {
  const out = join(workFolder(), 'busy')
  const lock = await lockFolder(join(out, '.locks'), 'all')
  await assert.rejects(
    prepareSmall(smallRecipe(root), dir, { out }),
    (error) => error instanceof UserError && error.message.includes(`pid ${process.pid}`),
  )
  await lock.release()
  assert.equal((await prepareSmall(smallRecipe(root), dir, { out })).result.cases, 24)
})

test('stopped by its signal, it says so with exit code 75 and goes on afterwards', async () => {
  const work = workFolder()
  const stop = new AbortController()
  const stopping = prepareSmall(smallRecipe(root), work, {
    workers: 1,
    signal: stop.signal,
    log: (line) => line.includes('in 3 shards') && setTimeout(() => stop.abort(), 50),
  })
  await assert.rejects(stopping, (error) => error instanceof StoppedError && error.exitCode === 75)
  const whole = await prepareSmall(smallRecipe(root), work)
  assert.deepEqual(
    await digestPixels(whole.dir),
    await digestPixels((await prepareSmall(smallRecipe(root), shared)).dir),
  )
})

test('verifyShards names a file with a flipped bit; prepare --verify makes that shard again', async () => {
  const work = workFolder()
  const { dir: set } = await prepareSmall(smallRecipe(root), work)
  await verifyShards(set)
  const sound = await digestSet(set)
  const path = join(set, 'shards/00001.safetensors')
  const bytes = await readFile(path)
  bytes[bytes.length - 1]! ^= 1
  await writeFile(path, bytes)
  await assert.rejects(
    verifyShards(set),
    (error) => error instanceof ShardError && error.message.includes('shards/00001.safetensors'),
  )
  const { log } = await prepareSmall(smallRecipe(root), work, { verify: true })
  assert.ok(log.some((line) => line.startsWith('damaged: shards/00001.safetensors')))
  assert.deepEqual(await digestSet(set), sound)
})

test('a shard that is missing or cut short is made again, the others are not', async () => {
  const work = workFolder()
  const { dir: set } = await prepareSmall(smallRecipe(root), work)
  const sound = await digestSet(set)
  await rm(join(set, 'shards/00000.safetensors'))
  await truncate(join(set, 'shards/00002.safetensors'), 500)
  const { result } = await prepareSmall(smallRecipe(root), work)
  assert.deepEqual([result.reused, result.repaired], [false, 2])
  assert.deepEqual(await digestSet(set), sound)
  assert.deepEqual(await readdir(join(work, 'prepared')), [set.split('/').at(-1), 'private'])
})

for (const file of ['report.json', 'cases.jsonl', 'sums.safetensors'])
  test(`a ${file} of a shard that is cut short or has a flipped bit is made again`, async () => {
    const work = workFolder()
    const { dir: set, split } = await prepareSmall(smallRecipe(root), work)
    const sound = await digestSet(set)
    for (const name of ['00000', '00002']) {
      const path = join(set, `shards/${name}.${file}`)
      if (name === '00000') await truncate(path, 10)
      else {
        const bytes = await readFile(path)
        bytes[bytes.length - 6]! ^= 64
        await writeFile(path, bytes)
      }
    }
    const again = await prepareSmall(smallRecipe(root), work)
    assert.equal(again.result.repaired, 2)
    assert.deepEqual(again.split, split)
    assert.deepEqual(await digestSet(set), sound)
  })

test('statistics are not taken from sums that their checksum does not fit', async () => {
  const { dir: set, index } = await prepareSmall(smallRecipe(root), workFolder())
  const path = join(set, 'shards/00001.sums.safetensors')
  const bytes = await readFile(path)
  bytes[bytes.length - 2]! ^= 64
  await writeFile(path, bytes)
  await assert.rejects(
    pixelStatistics(set, index),
    (error) => error instanceof UserError && error.message.includes(path) && /--verify/.test(error.message),
  )
})

test('a shard that its sources no longer make is named with what is damaged, and what to do', async () => {
  const work = workFolder()
  const { dir: set } = await prepareSmall(smallRecipe(root), work)
  for (const name of ['00000', '00001']) await rm(join(set, `shards/${name}.cases.jsonl`))
  await truncate(join(set, 'shards/00002.cases.jsonl'), 10)
  const index = JSON.parse(await readFile(join(set, 'index.json'), 'utf8'))
  index.shards[0].sha256 = '0'.repeat(64)
  await writeFile(join(set, 'index.json'), JSON.stringify(index))
  await assert.rejects(
    prepareSmall(smallRecipe(root), work),
    (error) =>
      error instanceof UserError &&
      error.message.includes(set) &&
      error.message.includes('00000.cases.jsonl is missing') &&
      /delete that folder/.test(error.message),
  )
})

test('a damaged report of a set is passed over aloud and mended, or does not matter', async () => {
  const work = workFolder()
  const { dir: set, result } = await prepareSmall(smallRecipe(root), work)
  const path = join(set, 'report.json')
  const report = JSON.parse(await readFile(path, 'utf8'))
  const other = '0'.repeat(64)
  await writeFile(path, JSON.stringify({ ...report, config_id: other }))
  assert.equal((await prepareSmall(smallRecipe(root), work)).result.reused, true)
  for (const [text, why] of [
    [JSON.stringify({ ...report, set_id: other }), /passed over: its report.json is damaged/],
    [JSON.stringify({ ...report, request_ids: [other] }), /or its report.json is damaged/],
    ['{', /passed over: This file is not JSON/],
  ] as const) {
    await writeFile(path, text)
    const again = await prepareSmall(smallRecipe(root), work)
    assert.ok(
      again.log.some((line) => why.test(line)),
      again.log.join('\n'),
    )
    assert.equal(again.result.set_id, result.set_id)
    assert.equal((await prepareSmall(smallRecipe(root), work)).result.reused, true)
  }
})

test('tables that are cut short or deleted are written again; a set of another version is passed over', async () => {
  const work = workFolder()
  const { dir: set, split, labels } = await prepareSmall(smallRecipe(root), work)
  const sound = await digestSet(set)
  await truncate(join(set, `tables/labels-${labels.labels_id.slice(0, 12)}/labels.json`), 5)
  await rm(join(set, `tables/split-${split.split_id.slice(0, 12)}/split.safetensors`))
  await writeAtomic(join(work, 'prepared/0123456789ab/index.json'), '{"format": 2}')
  assert.equal((await prepareSmall(smallRecipe(root), work)).result.reused, true)
  assert.deepEqual(await digestSet(set), sound)
})

test('a flipped bit in a table is named by verifyShards and mended by the next prepare', async () => {
  const work = workFolder()
  const { dir: set, split, labels } = await prepareSmall(smallRecipe(root), work)
  const sound = await digestSet(set)
  for (const table of [
    `tables/labels-${labels.labels_id.slice(0, 12)}/labels.safetensors`,
    `tables/split-${split.split_id.slice(0, 12)}/split.safetensors`,
  ]) {
    const bytes = await readFile(join(set, table))
    bytes[bytes.length - 1]! ^= 1
    await writeFile(join(set, table), bytes)
    await assert.rejects(
      verifyShards(set),
      (error) => error instanceof ShardError && error.message.includes(table),
    )
    assert.equal((await prepareSmall(smallRecipe(root), work)).result.reused, true)
    assert.deepEqual(await digestSet(set), sound)
  }
})

test('two patients who share an image stay in one part', async () => {
  const twins = join(dir, 'twins')
  const some = smallCases(24, 400)
  some[6] = { ...some[6]!, seed: some[17]!.seed }
  await writeDataSet(twins, some)
  for (let seed = 0; seed < 4; seed++) {
    const { split } = await prepareSmall(
      smallRecipe(twins, { data: { split: { val: 0.3, test: 0.3, seed } } }),
      join(dir, 'twins-work'),
    )
    assert.deepEqual(split.leaks, [])
  }
})

test('a given split that shares patients is prepared, and says what training will refuse', async () => {
  const leaky = join(dir, 'leaky')
  const parts = ['train', 'train', 'test', 'test', 'train', 'val']
  await writeDataSet(
    leaky,
    smallCases(24, 600).map((one, i) => ({ ...one, part: parts[i % 6]! })),
  )
  const { split, warnings } = await prepareSmall(
    smallRecipe(leaky, { data: { split: { column: 'part' } } }),
    workFolder(),
  )
  assert.equal(split.leaks.length, 4)
  assert.deepEqual(split.leaks[0]?.splits, ['train', 'val'])
  assert.ok(warnings.some((warning) => warning.includes('train and val 4')))
})
