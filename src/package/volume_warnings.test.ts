import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SegmentPackage } from '../schema/segment_package.ts'
import { volumeWarnings } from './volume_warnings.ts'

const range = (min: number, max: number) => ({ min, median: min, max })
const fingerprint = {
  source_formats: { nifti: 4 },
  stored_shape: [range(20, 30), range(40, 50), range(30, 40)],
} as unknown as SegmentPackage['fingerprint']
const volume = (shape: [number, number, number, number], format = 'nifti') => ({
  data: Float32Array.of(1, 2, 3),
  shape,
  format,
  notes: [],
})

test('a volume like those of training has no warning, up to half and double their sides', () => {
  for (const shape of [
    [1, 25, 45, 35],
    [1, 10, 100, 80],
  ] as [number, number, number, number][])
    assert.deepEqual(volumeWarnings(volume(shape), { fingerprint }), [])
})

test('another size, axis by axis, and another format are told with the numbers', () => {
  assert.deepEqual(volumeWarnings(volume([1, 25, 45, 81], 'dicom'), { fingerprint }), [
    'The volume has 25 × 45 × 81 voxels (z, y, x) as the model sees it; training volumes had 20 to 30, 40 to 50, 30 to 40.',
    'The volume is dicom; training volumes were nifti.',
  ])
  assert.equal(volumeWarnings(volume([1, 9, 45, 35]), { fingerprint }).length, 1)
})

test('a flat volume is told, and notes of reading are kept', () => {
  const flat = { ...volume([1, 25, 45, 35]), data: new Int16Array(9).fill(4), notes: ['a note'] }
  assert.deepEqual(volumeWarnings(flat, { fingerprint: null }), [
    'a note',
    'All voxels of the volume have one value; its mask means nothing.',
  ])
})

test('of a 2D image the words are those of images, without its one slice', () => {
  const images = { source_formats: { png: 4 }, stored_shape: [range(1, 1), range(40, 50), range(30, 40)] }
  assert.deepEqual(
    volumeWarnings(volume([3, 1, 45, 81], 'jpeg'), {
      fingerprint: images as unknown as SegmentPackage['fingerprint'],
    }),
    [
      'The image has 45 × 81 pixels (y, x) as the model sees it; training images had 40 to 50, 30 to 40.',
      'The image is jpeg; training images were png.',
    ],
  )
})
