import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RunEvent } from '../schema/run.ts'
import { trainingLog } from './training_log.ts'

const time = Date.parse('2026-11-21T14:30:05') / 1000
const step = (n: number, loss: number): RunEvent => ({
  type: 'step',
  step: n,
  epoch: n / 4,
  loss,
  lr: 1e-3,
  samples_per_second: 100,
  data_wait_fraction: 0,
  time,
})
const START: RunEvent = {
  type: 'start',
  step: 0,
  total_steps: 12,
  world_size: 2,
  device: 'cpu',
  precision: 'fp32',
  threads: 1,
  torch: '2.15.0',
  num_train: 40,
  num_val: 9,
  num_parameters: 1200,
  weights_sha256: null,
  time,
}

test('a log has a line a start, epoch, validation, best checkpoint, warning and end, with mean losses', () => {
  const metrics = { auroc_mean: 0.9, f1_mean: 0.2, loss: 0.4 }
  const log = trainingLog(
    [
      START,
      { type: 'warning', step: 0, message: 'look here', time },
      ...[1, 2, 3, 4, 5, 6, 7, 8].map((n) => step(n, n)),
      { type: 'validation', step: 8, epoch: 2, metrics, is_best: true, seconds: 1, time },
      { type: 'checkpoint', step: 8, folder: 'step-00000008', seconds: 1, time },
      { type: 'checkpoint', step: 9, folder: 'step-00000009', seconds: 1, time },
      { type: 'end', step: 9, status: 'failed', message: 'disk\nfull', seconds: { data: 65 }, time },
    ],
    'auroc_mean',
  )
  assert.ok(log[0]!.startsWith('2026-11-21 14:30:05  started: 40 cases train, 9 validate'))
  assert.deepEqual(
    log.slice(1).map((line) => line.replace('2026-11-21 14:30:05  ', '')),
    [
      'Warning: look here',
      'epoch 1 · step 4/12 · loss 2.500 · lr 0.00100 · 100 samples/s',
      'epoch 2 · step 8/12 · loss 6.500 · lr 0.00100 · 100 samples/s · validation auroc_mean 0.9000, loss 0.4000, the best so far',
      'checkpoint step-00000008, the best so far',
      'failed at step 9/12 after 1:05: disk',
      'full',
    ],
  )
})

test('what was not validated yet is told up to the last step', () => {
  assert.match(trainingLog([START, step(1, 0.5)], 'loss').at(-1)!, /epoch 0\.3 · step 1\/12 · loss 0\.5000/)
})
