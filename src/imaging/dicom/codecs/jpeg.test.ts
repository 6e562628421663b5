import assert from 'node:assert/strict'
import { test } from 'node:test'
import sharp, { type JpegOptions } from 'sharp'
import { ImageError } from '../../image_error.ts'
import { tissueTile } from '../../testing/samples.ts'
import type { PixelFormat } from '../pixel_format.ts'
import { decodeJpeg } from './jpeg.ts'

const HEIGHT = 37
const WIDTH = 53

const format = (samples: 1 | 3, photometric: PixelFormat['photometric']): PixelFormat => ({
  ...{ element: 'PixelData', numFrames: 1, rows: HEIGHT, columns: WIDTH, samples, photometric },
  ...{ isPlanar: false, bitsAllocated: 8, bitsStored: 8, isSigned: false },
})

const tile = tissueTile(HEIGHT, WIDTH)
const encoded = (options: JpegOptions, isGrey = false) => {
  const image = sharp(tile.data, { raw: { height: HEIGHT, width: WIDTH, channels: 3 } })
  return (isGrey ? image.toColourspace('b-w') : image)
    .jpeg({ quality: 92, mozjpeg: false, ...options })
    .toBuffer()
}

const difference = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0)

test('baseline JPEG is within a grey level of libjpeg, grey', async () => {
  const bytes = await encoded({}, true)
  const theirs = await sharp(bytes).toColourspace('b-w').raw().toBuffer()
  const { data, precision } = decodeJpeg(bytes, format(1, 'MONOCHROME2'))
  assert.equal(precision, 8)
  assert.equal(data.length, theirs.length)
  assert.ok(difference(data, theirs) <= 1)
})

for (const chromaSubsampling of ['4:4:4', '4:2:0'])
  test(`colours of ${chromaSubsampling} are brought to full size as libjpeg does`, async () => {
    const bytes = await encoded({ chromaSubsampling })
    const { data, colour } = decodeJpeg(bytes, format(3, 'YBR_FULL_422'))
    assert.equal(colour, 'ybr')
    const { ybrToRgb } = await import('../colour.ts')
    ybrToRgb(data, 8)
    const theirs = await sharp(bytes).raw().toBuffer()
    assert.ok(difference(data, theirs) <= 3, `off by ${difference(data, theirs)}`)
  })

test('a progressive JPEG, a JPEG of another size and one cut short are refused', async () => {
  const bytes = await encoded({})
  const refused: [Uint8Array, PixelFormat, RegExp][] = [
    [
      await encoded({ progressive: true }),
      format(3, 'RGB'),
      /SOF2\) is none of baseline, extended and lossless/,
    ],
    [bytes, { ...format(3, 'RGB'), rows: 38 }, /it is 37×53×3, but the header says 38×53×3/],
    [bytes, format(1, 'MONOCHROME2'), /37×53×3, but the header says 37×53×1/],
    [bytes.subarray(0, bytes.length - 40), format(3, 'RGB'), /ends too early/],
    [bytes.subarray(0, 100), format(3, 'RGB'), /cut short/],
  ]
  for (const [jpeg, as, reason] of refused)
    assert.throws(
      () => decodeJpeg(jpeg, as),
      (error) => {
        assert.ok(error instanceof ImageError, String(error))
        assert.match(error.reason, reason)
        return true
      },
    )
})

test("Adobe's marker decides what three components are, then JFIF's, then the DICOM header", async () => {
  const bytes = await encoded({ chromaSubsampling: '4:4:4' })
  const marked = (code: number, body: (string | number)[]) => {
    const content = Buffer.concat(body.map((part) => Buffer.from(typeof part === 'string' ? part : [part])))
    const head = Buffer.from([0xff, code, 0, content.length + 2])
    return Buffer.concat([bytes.subarray(0, 2), head, content, bytes.subarray(2)])
  }
  const adobe = (transform: number) => marked(0xee, ['Adobe', 0, 100, 0, 0, 0, 0, transform])
  const jfif = marked(0xe0, ['JFIF', 0, 1, 1, 0, 0, 1, 0, 1, 0, 0])
  const colour = (jpeg: Uint8Array, photometric: PixelFormat['photometric']) =>
    decodeJpeg(jpeg, format(3, photometric)).colour
  assert.equal(colour(bytes, 'RGB'), 'rgb')
  assert.equal(colour(bytes, 'YBR_FULL'), 'ybr')
  assert.equal(colour(jfif, 'RGB'), 'ybr')
  assert.equal(colour(adobe(0), 'YBR_FULL'), 'rgb')
  assert.equal(colour(adobe(1), 'RGB'), 'ybr')
})
