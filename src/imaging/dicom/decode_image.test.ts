import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ImagePrepare } from '../../schema/recipe.ts'
import { readHeader } from '../header.ts'
import { ImageError } from '../image_error.ts'
import { preprocess } from '../preprocess.ts'
import { encodePng } from '../raster_node.ts'
import { resolveSpec } from '../resolve_spec.ts'
import { noise, plainSpec } from '../testing/samples.ts'
import expected from './testing/pydicom_palettes.json' with { type: 'json' }
import { greySlice, SLICE_SHAPE } from './testing/slices.ts'

const FILES = join(import.meta.dirname, '../../../../shared/data/dicom/files')
const skip = existsSync(FILES) ? false : 'the DICOM files of ../shared/data are not here'
const load = (name: string) => new Uint8Array(readFileSync(join(FILES, name)))

/** Stored as they are: no resizing. */
const spec = (changes: Parameters<typeof plainSpec>[0] = {}) => plainSpec({ size: SLICE_SHAPE, ...changes })
const stored = async (bytes: Uint8Array, changes: Parameters<typeof plainSpec>[0] = {}) => [
  ...(await preprocess(bytes, spec(changes))).data,
]

/** 15 values of 16 bits. */
const words = (...values: number[]) =>
  new Uint8Array(Int16Array.from({ length: 15 }, (_, i) => values[i % values.length]!).buffer)

test('a radiograph is shown by its own window', async () => {
  const bytes = greySlice({
    ...{ BitsStored: 12, HighBit: 11, PixelRepresentation: 0, PixelData: words(0, 1000, 1500, 2000, 4095) },
    ...{ WindowCenter: 1500.5, WindowWidth: 1001 },
  })
  assert.deepEqual((await stored(bytes)).slice(0, 5), [0, 0, 128, 255, 255])
  assert.deepEqual((await stored(bytes, { dtype: 'int16' })).slice(0, 5), [-32768, -32768, 0, 32767, 32767])
})

test('without a window, it is the range of the stored bits', async () => {
  const bits = { BitsStored: 12, HighBit: 11, PixelRepresentation: 0 }
  const bytes = greySlice({ ...bits, PixelData: words(0, 2048, 4095) })
  assert.deepEqual((await stored(bytes)).slice(0, 3), [0, 128, 255])
  const signed = greySlice({ ...bits, PixelRepresentation: 1, PixelData: words(-2048, 0, 2047) })
  assert.deepEqual((await stored(signed)).slice(0, 3), [0, 128, 255])
})

test("the spec's window goes before the file's, in the units that the modality transform gives", async () => {
  const bytes = greySlice({
    ...{ PixelData: words(0, 1024, 1064, 1424), RescaleSlope: 1, RescaleIntercept: -1024 },
    ...{ WindowCenter: 0, WindowWidth: 10 },
  })
  const window = { low: -160, high: 240 }
  assert.deepEqual((await stored(bytes, { window })).slice(0, 4), [0, 102, 128, 255])
})

test('MONOCHROME1 is inverted after windowing, so that dense is bright in every file', async () => {
  const grey = { BitsStored: 12, HighBit: 11, PixelRepresentation: 0, PixelData: words(0, 1000, 3000, 4095) }
  for (const window of [null, { low: 500, high: 3500 }]) {
    const as2 = await stored(greySlice(grey), { window })
    const as1 = await stored(greySlice({ ...grey, PhotometricInterpretation: 'MONOCHROME1' }), { window })
    assert.deepEqual(
      as1,
      as2.map((value) => 255 - value),
    )
  }
})

test('colours and palettes become RGB', { skip }, async () => {
  for (const [name, { every, rgb }] of Object.entries(expected)) {
    const header = await readHeader(load(name))
    const { height, width } = header
    assert.deepEqual([header.format, header.bits, header.channels], ['dicom', 8, 3])
    const { data } = await preprocess(load(name), plainSpec({ size: [height, width], channels: 3 }))
    for (const [i, pixel] of rgb.entries())
      assert.deepEqual(
        [0, 1, 2].map((c) => data[c * height * width + i * every]),
        pixel,
        name,
      )
  }
  assert.equal(
    (await preprocess(load('SC_rgb_jpeg_gdcm.dcm'), plainSpec({ channels: 3 }))).source.channels,
    3,
  )
})

test('the header says what will be decoded', async () => {
  const { height, width, ...rest } = await readHeader(greySlice())
  assert.deepEqual([height, width], SLICE_SHAPE)
  assert.deepEqual(rest, { format: 'dicom', bits: 16, channels: 1, lossy: false })
})

test('several frames, no pixels, and values beyond 16 bits are no 2D image', { skip }, async () => {
  const refused: [string, RegExp][] = [
    ['emri_small_jpeg_2k_lossless.dcm', /has 10 frames; a 2D task takes one/],
    ['rtplan.dcm', /holds no pixels \(modality RTPLAN\)/],
    ['rtdose_1frame.dcm', /32-bit values of MONOCHROME2/],
    ['parametric_map_float.dcm', /32-bit signed or floating-point values/],
    ['MR_truncated.dcm', /cut short/],
  ]
  for (const [name, reason] of refused)
    await assert.rejects(preprocess(load(name), plainSpec()), (error) => {
      assert.ok(error instanceof ImageError, String(error))
      assert.match(error.reason, reason)
      return true
    })
})

async function* sample(...files: Uint8Array[]) {
  yield* files
}

test('window: auto leaves DICOM its own window, and will not mix it with other 16-bit files', async () => {
  const prepare = ImagePrepare.parse({ size: 32 })
  const dicom = greySlice({ WindowCenter: 1000, WindowWidth: 500 })
  const of = await resolveSpec(prepare, sample(dicom, dicom))
  assert.deepEqual([of.window, of.dtype], [null, 'int16'])
  const wide = await encodePng(noise(9, 11, 1, 16))
  await assert.rejects(resolveSpec(prepare, sample(dicom, wide)), /1 are DICOM.* and 1 have 16-bit values/)
  const given = ImagePrepare.parse({ size: 32, window: { low: 0, high: 4095 } })
  assert.deepEqual((await resolveSpec(given, sample(dicom, wide))).window, { low: 0, high: 4095 })
})
