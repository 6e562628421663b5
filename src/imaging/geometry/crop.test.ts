import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Volume } from '../volume.ts'
import { apply } from './affine.ts'
import { crop, foregroundBox, pad } from './crop.ts'

function volumeWith(...voxels: [c: number, z: number, y: number, x: number, value: number][]): Volume {
  const data = new Int16Array(2 * 4 * 5 * 6)
  for (const [c, z, y, x, value] of voxels) data[((c * 4 + z) * 5 + y) * 6 + x] = value
  return {
    data,
    channels: 2,
    shape: [4, 5, 6],
    affine: [0, 0.1, 1.5, 9, 0, 2, 0, -4, 3, 0, 0, 7, 0, 0, 0, 1],
  }
}

test('the foreground is what is not 0 in some channel, or above a threshold', () => {
  const volume = volumeWith([0, 1, 2, 3, 9], [1, 2, 1, 5, -3])
  assert.deepEqual(foregroundBox(volume), { start: [1, 1, 3], shape: [2, 2, 3] })
  assert.deepEqual(foregroundBox(volume, 0), { start: [1, 2, 3], shape: [1, 1, 1] })
  assert.equal(foregroundBox(volumeWith()), null)
  assert.equal(foregroundBox(volume, 9), null)
})

test('a cropped voxel keeps its value and its place in the patient', () => {
  const volume = volumeWith([0, 1, 2, 3, 9], [1, 2, 1, 5, -3])
  const box = foregroundBox(volume)!
  const part = crop(volume, box)
  assert.deepEqual(part.shape, [2, 2, 3])
  assert.deepEqual([...part.data], [0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -3, 0, 0, 0])
  assert.deepEqual(apply(part.affine, [0, 1, 2]), apply(volume.affine, [1, 2, 5]))
  assert.throws(() => crop(volume, { start: [0, 0, 4], shape: [1, 1, 3] }), /reaches outside/)
})

test('padding is undone by cropping', () => {
  const volume = volumeWith([0, 1, 2, 3, 9], [1, 2, 1, 5, -3])
  const padded = pad(volume, [1, 0, 2], [0, 3, 1], -7)
  assert.deepEqual(padded.shape, [5, 8, 9])
  assert.equal(padded.data[0], -7)
  assert.deepEqual(crop(padded, { start: [1, 0, 2], shape: [4, 5, 6] }), volume)
})
