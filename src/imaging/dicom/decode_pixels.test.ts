import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ImageError } from '../image_error.ts'
import { decodePixels } from './decode_pixels.ts'
import { parseDicom } from './parse.ts'
import expected from './testing/pydicom_pixels.json' with { type: 'json' }

const FILES = join(import.meta.dirname, '../../../../shared/data/dicom/files')
const skip = existsSync(FILES) ? false : 'the DICOM files of ../shared/data are not here'

interface Expected {
  shape: number[]
  dtype: string
  sha256: string
  /** Lossy: every n-th value. */
  every?: number
  values?: number[]
}

const load = (name: string) => parseDicom(new Uint8Array(readFileSync(join(FILES, name))))

test('every file that pydicom decodes has the same pixels, lossy JPEG within 3 grey levels', {
  skip,
}, async () => {
  assert.equal(Object.keys(expected).length, 85)
  for (const [name, { shape, dtype, sha256, every, values }] of Object.entries(
    expected as Record<string, Expected>,
  )) {
    const { data, format } = await decodePixels(load(name))
    assert.equal(
      `${dtype.replace('u', 'U').replace(/^[a-z]/, (c) => c.toUpperCase())}Array`,
      data.constructor.name,
      name,
    )
    const { numFrames, rows, columns, samples } = format
    assert.deepEqual(
      [numFrames, rows, columns, samples].filter((n, i) => n > 1 || i === 1 || i === 2),
      shape,
      name,
    )
    if (every !== undefined && values !== undefined) {
      const largest = values.reduce((most, value, i) => Math.max(most, Math.abs(value - data[i * every]!)), 0)
      assert.ok(largest <= 3, `${name}: off by ${largest}`)
    } else
      assert.equal(
        createHash('sha256')
          .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
          .digest('hex'),
        sha256,
        name,
      )
  }
})

/** Why the files that do not become pixels do not. */
const REFUSED: Record<string, RegExp> = {
  'JPEG-lossy.dcm': /scan covers coefficients 0 to 0/,
  'JPEG2000-embedded-sequence-delimiter.dcm': /JPEG 2000 frame.* its header claims 14540801 tiles/,
  'MR_truncated.dcm': /cut short: its pixels take 8192 bytes by the header, and 8130 are there/,
  'badVR.dcm': /NumberOfFrames \(0028,0008\) is "1A", not a number/,
  'emri_small_jpeg_2k_lossless_too_short.dcm': /at byte 40316 of 40316, the pixel data does not end/,
  'meta_missing_tsyntax.dcm': /holds no pixels|Rows is missing/,
  'nested_priv_SQ.dcm': /Rows is missing/,
  'no_meta.dcm': /not DICOM/,
  'ExplVR_BigEndNoMeta.dcm': /holds no pixels \(modality RTPLAN\)/,
  'ExplVR_LitEndNoMeta.dcm': /holds no pixels \(modality RTPLAN\)/,
  'UN_sequence.dcm': /holds no pixels/,
  'empty_charset_LEI.dcm': /holds no pixels/,
  'no_meta_group_length.dcm': /holds no pixels/,
  'priv_SQ.dcm': /holds no pixels/,
  'reportsi.dcm': /holds no pixels \(modality SR\)/,
  'reportsi_with_empty_number_tags.dcm': /holds no pixels \(modality SR\)/,
  'rtplan.dcm': /holds no pixels \(modality RTPLAN\)/,
  'test-SR.dcm': /holds no pixels \(modality SR\)/,
}

test('every broken file, and every file without pixels, is refused with its own reason', {
  skip,
}, async () => {
  for (const [name, reason] of Object.entries(REFUSED))
    await assert.rejects(
      async () => decodePixels(load(name)),
      (error) => {
        assert.ok(error instanceof ImageError, `${name}: ${error}`)
        assert.match(error.reason, reason, name)
        assert.ok(error.advice.length > 0)
        return true
      },
    )
})

test('files beyond what pydicom decodes: 1-bit RLE and deflated frames, and a data set without meta group', {
  skip,
}, async () => {
  const others: [name: string, like: string][] = [
    ['liver_rle.dcm', 'liver.dcm'],
    ['liver_deflate.dcm', 'liver.dcm'],
    ['liver_nonbyte_aligned_rle.dcm', 'liver_nonbyte_aligned.dcm'],
    ['liver_nonbyte_aligned_deflate.dcm', 'liver_nonbyte_aligned.dcm'],
  ]
  for (const [name, like] of others)
    assert.deepEqual((await decodePixels(load(name))).data, (await decodePixels(load(like))).data, name)
  const face = load('OT-PAL-8-face.dcm')
  assert.deepEqual(face.notes, ['The DICOM file names no transfer syntax; it was read as uncompressed.'])
  assert.equal((await decodePixels(face)).data.length, 480 * 640)
  const known = new Set([
    ...Object.keys(expected),
    ...Object.keys(REFUSED),
    ...others.map(([name]) => name),
    'OT-PAL-8-face.dcm',
  ])
  assert.deepEqual(
    readdirSync(FILES).filter((name) => !known.has(name)),
    [],
  )
})
