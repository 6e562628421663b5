import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EngineModel } from '../schema/run.ts'
import { type PatchRequest, planBatch, planPatch } from './plan_patch.ts'

const unet: EngineModel = {
  family: 'unet3d',
  channels: [16, 32, 64, 128],
  residual_units: 2,
  norm: 'instance',
  dropout: 0,
  weights: 'none',
}
const request = (changes: Partial<PatchRequest>): PatchRequest => ({
  median: [36, 50, 35],
  channels: 1,
  outputs: 3,
  model: unet,
  batch: 2,
  memoryBytes: null,
  spacing_mm: [1, 1, 1],
  ...changes,
})

test('a crop takes the whole median volume, each side rounded up to what the network halves', () => {
  const { patch_size, reason } = planPatch(request({}))
  assert.deepEqual(patch_size, [40, 56, 40])
  assert.match(reason, /median volume of 36×50×35/)
})

test('short sides are halved less often, so they are rounded less', () => {
  assert.deepEqual(planPatch(request({ median: [5, 90, 63] })).patch_size, [5, 96, 64])
  assert.deepEqual(planPatch(request({ median: [12, 90, 63] })).patch_size, [12, 96, 64])
  assert.deepEqual(planPatch(request({ median: [1, 90, 63] })).patch_size, [1, 96, 64])
})

test('where memory is short the side that spans most millimetres is cut, and the reason names both figures', () => {
  const { patch_size, reason } = planPatch(
    request({ median: [100, 400, 400], spacing_mm: [3, 0.8, 0.8], memoryBytes: 4e9, batch: 2 }),
  )
  assert(patch_size[1] < 400 && patch_size[1] === patch_size[2], patch_size.join())
  assert(
    patch_size.every((side) => side % 8 === 0),
    patch_size.join(),
  )
  // Sides of about equal length in the patient.
  assert(Math.abs(patch_size[0] * 3 - patch_size[1] * 0.8) <= 8 * 3, patch_size.join())
  assert.match(reason, /do not fit; activations of 2 samples take about \d\.\d GB of 4\.0 GB/)
})

test('even the least memory leaves a crop that the network can halve', () => {
  const { patch_size } = planPatch(request({ median: [64, 64, 64], memoryBytes: 1e3 }))
  assert(
    patch_size.every((side) => side >= 8),
    patch_size.join(),
  )
})

test('a batch holds 5 % of the training voxels at most, two crops at least and eight at most', () => {
  assert.equal(planBatch([36, 50, 35], [40, 56, 40], 48), 2)
  assert.equal(planBatch([36, 50, 35], [40, 56, 40], 208), 7)
  assert.equal(planBatch([155, 240, 240], [96, 96, 96], 400), 8)
})
