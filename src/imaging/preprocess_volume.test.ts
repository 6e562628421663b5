import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Intensity, VolumeSpec } from '../schema/preprocess.ts'
import { writeNifti } from './nifti/write.ts'
import { preprocessVolume } from './preprocess_volume.ts'
import type { Affine } from './volume.ts'

const RAS: Affine = [0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1]
const SHAPE = [3, 4, 5] as const
const VOXELS = 3 * 4 * 5
const spec = (size: VolumeSpec['size'], ...intensity: Intensity[]): VolumeSpec => ({
  kind: 'volume',
  channels: intensity.length,
  orientation: 'RAS',
  spacing_mm: null,
  resample: 'linear',
  crop: 'none',
  size,
  intensity,
  dtype: 'float32',
})
/** Values that rise from `first`, channel after channel. */
const rising = (channels: number, first: number) =>
  writeNifti(
    {
      data: Int16Array.from({ length: channels * VOXELS }, (_, i) => first + i),
      channels,
      shape: [...SHAPE],
      affine: RAS,
    },
    { gzip: false },
  )

test('a size cuts about the middle where the volume is larger and pads where it is smaller', async () => {
  const { data, shape } = await preprocessVolume([await rising(1, 100)], spec([5, 2, 5], { kind: 'none' }))
  assert.deepEqual(shape, [1, 5, 2, 5])
  const slice = (z: number) => [...data.subarray(z * 10, z * 10 + 10)]
  assert.deepEqual(slice(1), [105, 106, 107, 108, 109, 110, 111, 112, 113, 114])
  assert.deepEqual(slice(0), Array(10).fill(105), 'the smallest value that was kept')
  assert.deepEqual(slice(4), slice(0))
})

test('each channel is padded with its own smallest value, after its values were normalised without the margin', async () => {
  const window: Intensity = { kind: 'window', low: 100, high: 200 }
  const file = await rising(2, 110)
  const plain = await preprocessVolume([file], spec([3, 4, 5], window, { kind: 'zscore' }))
  const padded = await preprocessVolume([file], spec([3, 4, 7], window, { kind: 'zscore' }))
  for (const [c, least] of [Math.fround(0.1), plain.data[VOXELS]!].entries()) {
    const row = [...padded.data.subarray(c * 84, c * 84 + 7)]
    const inside = [...plain.data.subarray(c * VOXELS, c * VOXELS + 5)]
    assert.deepEqual(row, [least, ...inside, least])
  }
})

test('where zeros are kept apart the margin is 0', async () => {
  const padded = await preprocessVolume([await rising(1, 50)], spec([3, 4, 6], { kind: 'nonzero_zscore' }))
  assert.equal(padded.data[5], 0)
  assert.ok(padded.data[0]! < 0)
})

test('labels are padded with background and lie where the image does', async () => {
  const stored = await preprocessVolume([await rising(1, 1)], spec([3, 4, 7], { kind: 'none' }))
  const labels = stored.onStoredGrid({
    data: Uint8Array.from({ length: VOXELS }, (_, i) => i + 1),
    channels: 1,
    shape: [...SHAPE],
    affine: RAS,
  })
  assert.deepEqual([...labels.data.subarray(0, 7)], [0, 1, 2, 3, 4, 5, 0])
  assert.deepEqual([...stored.data.subarray(0, 7)], [1, 1, 2, 3, 4, 5, 1])
})
