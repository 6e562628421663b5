import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SegmentRun } from '../runs/kinds.ts'
import type { MaskInference, SegmentEvaluation } from '../schema/evaluation_segment.ts'
import { mean, networkFile, refuseDifferent, together } from './ensemble.ts'

const run = (id: string, set_id = 'a', patch_size = [8, 8, 4]) =>
  ({
    id,
    dir: `/runs/${id}`,
    config: { task: { patch_size }, data: { set_id, channels: 1, dtype: 'float16' } },
  }) as unknown as SegmentRun
const chose = (mirror: MaskInference['mirror'], largest_component: string[]) =>
  ({ inference: { mirror, largest_component, reasons: ['its own'] } }) as unknown as SegmentEvaluation

test('runs of another shard set or patch are no ensemble, nor is a run with itself', () => {
  refuseDifferent([run('1'), run('2'), run('3')])
  assert.throws(
    () => refuseDifferent([run('1'), run('2', 'b')]),
    /2 is of another shard set, task or patch than 1/,
  )
  assert.throws(
    () => refuseDifferent([run('1'), run('2', 'a', [8, 4, 8])]),
    /another shard set, task or patch/,
  )
  assert.throws(() => refuseDifferent([run('1'), run('2'), run('1')]), /1 is named twice/)
})

test('masks come about as most runs chose; half is not most', () => {
  const all = [chose(['x'], ['a', 'b']), chose(['x', 'y'], ['a']), chose([], ['a']), chose(['x'], ['b'])]
  assert.deepEqual(together(all), {
    mirror: ['x'],
    largest_component: ['a'],
    reasons: ['what most of 4 runs chose on their validation'],
  })
  assert.deepEqual(together([chose(['z'], [])]).reasons, ['its own'])
})

test('probabilities are averaged without changing those given', () => {
  const [a, b] = [Float32Array.of(0.25, 1), Float32Array.of(0.75, 0)]
  assert.deepEqual([...mean([a, b])], [0.5, 0.5])
  assert.deepEqual([...a], [0.25, 1])
})

test('each network has a folder of its own', () => {
  assert.deepEqual([0, 1, 2].map(networkFile), [
    'model.onnx',
    'ensemble/2/model.onnx',
    'ensemble/3/model.onnx',
  ])
})
