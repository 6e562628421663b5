import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { encodePng } from '#raster'
import { plainSpec, randomSource } from '../imaging/testing/samples.ts'
import { UserError } from '../schema/errors.ts'
import type { ShardJob } from './shard_writer.ts'
import { smallCases, writeDataSet } from './testing/small_data_set.ts'
import { makeShards, type PoolOptions } from './worker_pool.ts'

let dir: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-pool-'))
  await writeDataSet(dir, smallCases(6))
})
after(() => rm(dir, { recursive: true }))

const options = (changes: Partial<PoolOptions>): PoolOptions => ({
  folder: join(dir, 'staging'),
  root: dir,
  plan: {
    preprocess: plainSpec({ size: [12, 16] }),
    mask_values: null,
    brick: null,
    mask_labels: null,
    deidentified: false,
  },
  workers: 2,
  signal: new AbortController().signal,
  onProgress: () => {},
  ...changes,
})
const jobs = (count: number): ShardJob[] =>
  Array.from({ length: count }, (_, k) => ({
    name: `0000${k}`,
    cases: smallCases(6).map(({ id }) => ({ case_id: id, images: [`images/${id}.png`] })),
  }))

test('a worker stays below 300 MB, however many large images it reads', async (t) => {
  // A film of 12 megapixels, 16-bit: 24 MB decoded, read 8 times over.
  const next = randomSource(1)
  const data = new Uint16Array(4000 * 3000)
  for (let i = 0; i < data.length; i++) data[i] = ((i % 3000) * 20 + (next() & 255)) & 0xffff
  await writeFile(join(dir, 'film.png'), await encodePng({ data, height: 4000, width: 3000, channels: 1 }))
  const film: ShardJob = {
    name: '00009',
    cases: Array.from({ length: 8 }, (_, i) => ({ case_id: `c${i}`, images: ['film.png'] })),
  }
  const spec = plainSpec({ size: [224, 224], dtype: 'int16', window: { low: 0, high: 65535 } })
  const peak = await makeShards(
    [film],
    options({
      folder: join(dir, 'large'),
      plan: { preprocess: spec, mask_values: null, mask_labels: null, brick: null, deidentified: false },
      workers: 1,
    }),
  )
  t.diagnostic(`${(peak / 1e6).toFixed(0)} MB resident at most`)
  assert.ok(peak > 30e6 && peak < 300e6, `${peak} bytes`)
})

test('every case is counted once', async () => {
  let done = 0
  await makeShards(jobs(3), options({ onProgress: (cases) => (done += cases) }))
  assert.equal(done, 18)
})

const skip = existsSync('/proc/self/stat') ? false : 'workers are found through /proc'

test('a worker that is killed is replaced, and its shard made again', { skip }, async () => {
  let killed = 0
  await makeShards(
    jobs(4),
    options({
      folder: join(dir, 'killed'),
      workers: 1,
      onShard: () => {
        if (killed++ === 1) killChildren('SIGKILL')
      },
    }),
  )
  const reports = (await readdir(join(dir, 'killed/set/shards'))).filter((name) =>
    name.endsWith('.report.json'),
  )
  assert.equal(reports.length, 4)
})

test('workers that keep dying end the work with advice', { skip }, async () => {
  const killing = setInterval(() => killChildren('SIGKILL'), 5)
  await assert
    .rejects(
      makeShards(jobs(2), options({ folder: join(dir, 'dying'), workers: 1 })),
      (error) =>
        error instanceof UserError &&
        /died 3 times on shard 00000 \(SIGKILL\)[\s\S]*--workers/.test(error.message),
    )
    .finally(() => clearInterval(killing))
})

/** Kills the worker processes of this test process. */
function killChildren(signal: NodeJS.Signals): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const parent = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')[1]
      const isWorker = readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('shard_worker')
      if (Number(parent) === process.pid && isWorker) process.kill(Number(pid), signal)
    } catch {} // it ended in this moment
  }
}
