import assert from 'node:assert/strict'
import { test } from 'node:test'
import { obliqueSeries } from './dicom/testing/drawn_series.ts'
import { greySlice } from './dicom/testing/slices.ts'
import { ImageError } from './image_error.ts'
import { writeNifti } from './nifti/write.ts'
import { readVolume } from './read_volume.ts'

const refuses = (files: readonly Uint8Array[], reason: RegExp) =>
  assert.rejects(readVolume(files), (error) => {
    assert.ok(error instanceof ImageError, String(error))
    assert.match(error.reason, reason)
    return true
  })

test('files that are DICOM by their bytes become the volume of their series, in any order', async () => {
  const { files, plan } = obliqueSeries()
  const { volume, format } = await readVolume([...files.slice(3), ...files.slice(0, 3)])
  assert.equal(format, 'dicom')
  assert.deepEqual([volume.shape, volume.affine], [plan.shape, plan.affine])
  // The series lies in reverse: the last file is the lowest slice.
  assert.deepEqual([volume.data[0], volume.data[5 * 63 + 62]], [5000, 62])
})

test('the same volume as NIfTI is read as such', async () => {
  const { volume } = await readVolume(obliqueSeries().files)
  const { volume: again, format } = await readVolume([await writeNifti(volume, { gzip: true })])
  assert.equal(format, 'nifti')
  assert.deepEqual(again.data, volume.data)
  for (const [k, mm] of again.affine.entries()) assert.ok(Math.abs(mm - volume.affine[k]!) < 1e-4)
})

test('files of several series, or of several kinds, are refused', async () => {
  const { files } = obliqueSeries()
  await refuses(
    [...files, greySlice({ SeriesInstanceUID: '1.2.3.5', Modality: 'SEG' })],
    /of 2 series \(6 of CT, 1 of SEG\)/,
  )
  const { volume } = await readVolume(files)
  await refuses([...files, await writeNifti(volume, { gzip: true })], /is not DICOM/)
})
