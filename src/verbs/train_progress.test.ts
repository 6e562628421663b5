import assert from 'node:assert/strict'
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { writeRun } from '../runs/create.ts'
import { readRun } from '../runs/read.ts'
import { exampleConfig } from '../runs/testing/example_config.ts'
import { quietIo } from './io.ts'
import { duration, followTraining } from './train_progress.ts'
import { TrainStopped, trainResult } from './train_result.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-progress-'))
  await writeRun(dir, 'name: chest\n', exampleConfig())
})
afterEach(() => rm(dir, { recursive: true }))

const line = (type: string, step: number, fields: object = {}) =>
  `${JSON.stringify({ type, step, ...fields, time: 0 })}\n`
const started = line('start', 0, {
  total_steps: 20,
  world_size: 2,
  device: 'cpu',
  precision: 'fp32',
  threads: 1,
  torch: '2.15.0',
  num_train: 40,
  num_val: 9,
  num_parameters: 11_200_000,
  weights_sha256: null,
})
const step = (n: number, rate = 100, wait = 0) =>
  line('step', n, {
    epoch: n / 10,
    loss: 0.512,
    lr: 1e-3,
    samples_per_second: rate,
    data_wait_fraction: wait,
  })

async function told(before: string, during: string) {
  const events = join(dir, 'events.jsonl')
  await writeFile(events, before)
  const lines: string[] = []
  const progress: string[] = []
  const io = {
    ...quietIo(),
    log: (text: string) => lines.push(text),
    progress: (text: string) => progress.push(text),
  }
  const follower = await followTraining(await readRun(dir), io)
  await appendFile(events, during)
  await follower.end()
  return { lines, progress, resumedFrom: follower.resumedFrom() }
}

test('a start, a validation and a warning become a line each, a step becomes progress', async () => {
  const validation = line('validation', 10, {
    epoch: 1,
    metrics: { auroc_mean: 0.91234, loss: 0.4 },
    is_best: true,
    seconds: 1,
  })
  const { lines, progress } = await told(
    '',
    started + step(1) + validation + line('warning', 10, { message: 'look' }),
  )
  assert.deepEqual(lines, [
    '40 cases train, 9 validate; 11.2 M parameters on cpu, fp32, 2 ranks, 1 thread; 20 steps',
    'epoch 1: validation auroc_mean 0.9123, loss 0.4000, the best so far',
    'Warning: look',
  ])
  assert.deepEqual(progress, ['step 1/20 · epoch 0.1 · loss 0.512 · 100 samples/s'])
})

test('what earlier starts wrote is not told again, and the step resumed from is known', async () => {
  const { progress, resumedFrom } = await told(
    started + step(1) + step(2),
    line('resume', 2) + started + step(3),
  )
  assert.deepEqual([progress.length, resumedFrom], [1, 2])
})

test('a metric that is undefined is said to be so', async () => {
  const metrics = { auroc_mean: null, loss: 0.4 }
  const { lines } = await told('', line('validation', 10, { epoch: 1, metrics, is_best: false, seconds: 1 }))
  assert.match(lines[0]!, /auroc_mean undefined, loss 0\.4000$/)
})

test('speed is the median without the first ten steps, waiting the mean', async () => {
  const steps = Array.from({ length: 13 }, (_, i) =>
    step(i + 1, i < 10 ? 1 : [90, 200, 100][i - 10], i < 10 ? 1 : 0.03),
  )
  await writeFile(join(dir, 'events.jsonl'), started + steps.join(''))
  const result = trainResult(await readRun(dir), null)
  assert.deepEqual([result.samples_per_second, result.steps, result.status], [100, 13, 'stopped'])
  assert.ok(Math.abs(result.data_wait_fraction! - 0.03) < 1e-12)
})

test('a stop carries the result so far and exits 75', async () => {
  const stopped = new TrainStopped(trainResult(await readRun(dir), null))
  assert.deepEqual([stopped.exitCode, stopped.result.run_dir], [75, dir])
  assert.match(stopped.message, /Stopped at step 0; the same command resumes/)
})

test('durations read as minutes and seconds, with hours from one on', () => {
  assert.deepEqual([5, 65, 3725].map(duration), ['0:05', '1:05', '1:02:05'])
})
