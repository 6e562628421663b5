import assert from 'node:assert/strict'
import { test } from 'node:test'
import { obliqueSeries } from './dicom/testing/drawn_series.ts'
import { greySlice } from './dicom/testing/slices.ts'
import { ImageError } from './image_error.ts'
import { writeNifti } from './nifti/write.ts'
import { readVolume } from './read_volume.ts'
import type { Affine } from './volume.ts'

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

test('channels lie on one grid within a tenth of a voxel at every corner, however thick their slices are', async () => {
  // Slices of 5 mm: 40 of them, each 0.009 mm thicker, end 0.36 mm off, which no entry of the affine shows.
  const affine: Affine = [0, 0, 2, 0, 0, 3, 0, 0, 5, 0, 0, 0, 0, 0, 0, 1]
  const channel = (affine: Affine) =>
    writeNifti({ data: new Uint8Array(480).fill(1), channels: 1, shape: [40, 3, 4], affine }, { gzip: true })
  const first = await channel(affine)
  const { volume } = await readVolume([first, await channel(affine.with(3, 0.15))])
  assert.deepEqual([volume.channels, volume.affine], [2, affine])
  await refuses([first, await channel(affine.with(8, 5.009))], /corners lie up to 0\.35 mm apart/)
  await refuses([first, await channel(affine.with(0, -2))], /another affine than channel 0/)
})

test('a header and its voxels in two files are one channel, whatever the voxels begin with', async () => {
  const affine: Affine = [0, 0, 2, 0, 0, 3, 0, 0, 5, 0, 0, 0, 0, 0, 0, 1]
  // The first bytes of a PNG and of a TIFF.
  const starts = [
    [0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10],
    [0x49, 0x49, 42, 0],
  ]
  const pairs: Uint8Array[] = []
  for (const start of starts) {
    const data = Uint8Array.from({ length: 24 }, (_, i) => start[i] ?? i)
    const whole = await writeNifti({ data, channels: 1, shape: [2, 3, 4], affine }, { gzip: false })
    const header = whole.slice(0, 348)
    header[345] = 'i'.charCodeAt(0)
    new DataView(header.buffer).setFloat32(108, 0, true)
    pairs.push(header, whole.slice(352))
  }
  const one = await readVolume(pairs.slice(0, 2))
  assert.deepEqual(
    [one.format, one.volume.shape, ...one.volume.data.slice(0, 2)],
    ['nifti', [2, 3, 4], 0x89, 0x50],
  )
  const { volume } = await readVolume(pairs)
  assert.deepEqual([volume.channels, volume.data[24]], [2, 0x49])
  await refuses(pairs.slice(0, 1), /one of a pair: its voxels lie in an .img file, which is not read with it/)
})
