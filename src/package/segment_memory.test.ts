import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { obliqueSeries } from '../imaging/dicom/testing/drawn_series.ts'
import { ImageError } from '../imaging/image_error.ts'
import { writeNifti } from '../imaging/nifti/write.ts'
import type { Affine } from '../imaging/volume.ts'
import type { SegmentPackage } from '../schema/segment_package.ts'
import { refuseBeyondMemory, segmentingBytes } from './segment_memory.ts'
import { TINY_VOLUME_SPEC } from './testing/tiny_segmenter.ts'

const MODEL = {
  task: { kind: 'segment', structures: [{ name: 'a', values: [1] }], exclusive: true },
  preprocess: { ...TINY_VOLUME_SPEC, spacing_mm: [1, 1, 1] },
  networks: [{}],
} as unknown as SegmentPackage

const affine = (mm: number): Affine => [0, 0, mm, 0, 0, mm, 0, 0, mm, 0, 0, 0, 0, 0, 0, 1]
const volume = (mm: number) =>
  writeNifti(
    { data: new Int16Array(10 * 12 * 14), channels: 1, shape: [10, 12, 14], affine: affine(mm) },
    { gzip: true },
  )

test('memory grows with the voxels of the file and with those that resampling makes', async () => {
  const [fine, coarse] = [
    await segmentingBytes([await volume(1)], MODEL),
    await segmentingBytes([await volume(10)], MODEL),
  ]
  assert.ok(fine > 10 * 12 * 14 * 12 && fine < 10 * 12 * 14 * 100, String(fine))
  assert.ok(coarse > 100 * fine, `${coarse} ${fine}`)
  const two = { ...MODEL, networks: [MODEL.networks[0]!, MODEL.networks[0]!] }
  assert.ok((await segmentingBytes([await volume(1)], two)) > fine)
})

test('a small file that claims a large volume is refused before it is inflated', async () => {
  const header = Buffer.from(
    await writeNifti(
      { data: new Uint8Array(24), channels: 1, shape: [2, 3, 4], affine: affine(1) },
      { gzip: false },
    ),
  )
  for (const axis of [0, 1, 2]) header.writeInt16LE(3000, 42 + 2 * axis)
  for (const bytes of [header, gzipSync(header)])
    await assert.rejects(refuseBeyondMemory([bytes], MODEL, 16e9), (cause) => {
      assert.ok(cause instanceof ImageError)
      assert.match(cause.message, /takes about \d+ GB to segment; 16 GB are given to one/)
      return true
    })
  await refuseBeyondMemory([await volume(1)], MODEL, 16e9)
})

test('of a series its bytes tell', async () => {
  const { files } = obliqueSeries()
  const bytes = files.reduce((sum, one) => sum + one.length, 0)
  assert.ok((await segmentingBytes(files, MODEL)) > 20 * bytes)
})
