import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import sharp from 'sharp'
import type { ImageSpec } from '../schema/preprocess.ts'
import { preprocess } from './preprocess.ts'
import type { Raster } from './raster.ts'
import { encodePng } from './raster_node.ts'
import { STAIN_TARGETS } from './stain_targets.ts'
import { exifBlock, handmadePng, pngChunk } from './testing/files.ts'
import { runPython, skipWithoutPillow } from './testing/pillow.ts'
import { digest, largestDifference, noise, plainSpec, tissueTile } from './testing/samples.ts'

const shared = join(import.meta.dirname, '../../../shared/data')
const sameSize = (raster: Raster, changes: Partial<ImageSpec> = {}) =>
  plainSpec({ size: [raster.height, raster.width], ...changes })

test('an 8-bit grey image of the stored size is stored as it is', async () => {
  const raster = noise(12, 19, 1)
  const tensor = await preprocess(await encodePng(raster), sameSize(raster))
  assert.deepEqual(tensor, {
    data: raster.data,
    shape: [1, 12, 19],
    dtype: 'uint8',
    source: { format: 'png', height: 12, width: 19, bits: 8, channels: 1, lossy: false },
    notes: [],
  })
})

test('RGB is stored channel by channel, in the order asked for', async () => {
  const raster = noise(9, 11, 3)
  const png = await encodePng(raster)
  const plane = (c: number) => Array.from(raster.data).filter((_, i) => i % 3 === c)
  const rgb = await preprocess(png, sameSize(raster, { channels: 3 }))
  assert.deepEqual([...rgb.data], [...plane(0), ...plane(1), ...plane(2)])
  const bgr = await preprocess(png, sameSize(raster, { channels: 3, channel_order: 'bgr' }))
  assert.deepEqual([...bgr.data], [...plane(2), ...plane(1), ...plane(0)])
})

test('grey is repeated for three channels; RGB becomes ITU-R 601 luma for one', async () => {
  const grey = noise(9, 11, 1)
  const repeated = await preprocess(await encodePng(grey), sameSize(grey, { channels: 3 }))
  assert.deepEqual(repeated.data, Uint8Array.of(...grey.data, ...grey.data, ...grey.data))
  const rgb = noise(9, 11, 3)
  const { data } = await preprocess(await encodePng(rgb), sameSize(rgb))
  for (let i = 0; i < data.length; i++) {
    const exact = 0.299 * rgb.data[3 * i]! + 0.587 * rgb.data[3 * i + 1]! + 0.114 * rgb.data[3 * i + 2]!
    assert.ok(Math.abs(data[i]! - exact) <= 0.51)
  }
})

test('a window maps its low and high to the ends of the stored range and clips beyond', async () => {
  const values = [0, 99, 100, 101, 1123, 2145, 2146, 2147, 4095, 65535]
  const raster: Raster = { data: Uint16Array.from(values), height: 1, width: 10, channels: 1 }
  const png = await encodePng(raster)
  const window = { low: 100, high: 2146 }
  const bytes = await preprocess(png, sameSize(raster, { window }))
  assert.deepEqual([...bytes.data], [0, 0, 0, 0, 128, 255, 255, 255, 255, 255])
  const words = await preprocess(png, sameSize(raster, { window, dtype: 'int16' }))
  assert.ok(words.data instanceof Int16Array)
  assert.deepEqual([...words.data], [-32768, -32768, -32768, -32736, 0, 32735, 32767, 32767, 32767, 32767])
})

test('8-bit values stored as int16 cover its whole range', async () => {
  const raster: Raster = { data: Uint8Array.of(0, 1, 128, 255), height: 1, width: 4, channels: 1 }
  const { data } = await preprocess(await encodePng(raster), sameSize(raster, { dtype: 'int16' }))
  assert.deepEqual([...data], [-32768, 257 - 32768, 128 * 257 - 32768, 32767])
})

test('16-bit RGB becomes 16-bit luma', async () => {
  const png = handmadePng({ height: 1, width: 2, bits: 16, colourType: 2 }, [
    Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x10, 0, 0x20, 0, 0x40, 0),
  ])
  const spec = plainSpec({ size: [1, 2], window: { low: 0, high: 65535 }, dtype: 'int16' })
  const { data } = await preprocess(png, spec)
  const exact = 0.299 * 0x1000 + 0.587 * 0x2000 + 0.114 * 0x4000
  assert.deepEqual([...data], [32767, Math.round(exact) - 32768])
})

test('axes are reversed after the EXIF turn', async () => {
  const png = handmadePng(
    { height: 1, width: 3, bits: 8, colourType: 0 },
    [Uint8Array.of(1, 2, 3)],
    [pngChunk('eXIf', exifBlock(6))],
  )
  const flipped = async (flip: ImageSpec['flip']) =>
    (await preprocess(png, plainSpec({ size: [3, 1], flip }))).data
  assert.deepEqual([...(await flipped([]))], [1, 2, 3])
  assert.deepEqual([...(await flipped(['y']))], [3, 2, 1])
  assert.deepEqual([...(await flipped(['x']))], [1, 2, 3])
  const raster: Raster = { data: Uint8Array.of(1, 2, 3, 4, 5, 6), height: 2, width: 3, channels: 1 }
  const both = await preprocess(await encodePng(raster), sameSize(raster, { flip: ['x', 'y'] }))
  assert.deepEqual([...both.data], [6, 5, 4, 3, 2, 1])
  const x = await preprocess(await encodePng(raster), sameSize(raster, { flip: ['x'] }))
  assert.deepEqual([...x.data], [3, 2, 1, 6, 5, 4])
})

test('pad and crop keep shapes apart: a wide image is padded above and below, or loses its sides', async () => {
  const raster: Raster = { data: new Uint8Array(8 * 32).fill(200), height: 8, width: 32, channels: 1 }
  const png = await encodePng(raster)
  const padded = await preprocess(png, plainSpec({ size: [16, 16], fit: 'pad', pad_value: 9 }))
  const rows = Array.from({ length: 16 }, (_, y) => padded.data[y * 16 + 3])
  assert.deepEqual(rows, [...Array(6).fill(9), ...Array(4).fill(200), ...Array(6).fill(9)])
  const cropped = await preprocess(png, plainSpec({ size: [16, 16], fit: 'crop' }))
  assert.ok(cropped.data.every((v) => v === 200))
})

test('stain normalisation comes before grey and resizing', async () => {
  const tile = tissueTile(60, 44)
  const png = await encodePng(tile)
  const stained = await preprocess(png, sameSize(tile, { channels: 3, stain: STAIN_TARGETS.macenko }))
  const again: Raster = { data: new Uint8Array(tile.data.length), height: 60, width: 44, channels: 3 }
  for (let i = 0; i < again.data.length; i++)
    again.data[i] = stained.data[(i % 3) * 60 * 44 + Math.floor(i / 3)]!
  const small = { size: [21, 33] as [number, number], resample: 'bicubic' as const }
  const atOnce = await preprocess(png, plainSpec({ ...small, stain: STAIN_TARGETS.macenko }))
  assert.deepEqual(atOnce.data, (await preprocess(await encodePng(again), plainSpec(small))).data)
})

test('the same bytes on every platform: hashes of lossless files through whole specs', async () => {
  const specs: [Raster, Partial<ImageSpec>][] = [
    [noise(61, 97, 1), { fit: 'pad', pad_value: 3 }],
    [noise(61, 97, 3), { fit: 'crop', resample: 'bicubic', channels: 3, channel_order: 'bgr', flip: ['x'] }],
    [
      noise(61, 97, 1, 16),
      { window: { low: 500.5, high: 40000 }, dtype: 'int16', fit: 'pad', pad_value: 77 },
    ],
    [noise(61, 97, 3, 16), { window: { low: 0, high: 65535 }, dtype: 'uint8', resample: 'bicubic' }],
    [noise(61, 97, 4), { antialias: false, channels: 3 }],
    [tissueTile(61, 97), { stain: STAIN_TARGETS.reinhard, channels: 3 }],
  ]
  const hashes = await Promise.all(
    specs.map(async ([raster, changes]) => {
      const { data } = await preprocess(await encodePng(raster), plainSpec(changes))
      return digest(data).slice(0, 16)
    }),
  )
  assert.deepEqual(hashes, [
    '107cb9f7b1c34701',
    'b7197a6a69261f8d',
    '3f9965baf658092b',
    '47a7c104ddb7edc0',
    'e02342ecde572d90',
    'cf3d24362374cf76',
  ])
})

test('many at once give the same as one by one', async () => {
  const files = await Promise.all(
    Array.from({ length: 12 }, (_, i) => encodePng(noise(40 + i, 60 - i, i % 2 ? 3 : 1, 8, i))),
  )
  const alone = []
  for (const file of files) alone.push(await preprocess(file, plainSpec()))
  assert.deepEqual(await Promise.all(files.map((file) => preprocess(file, plainSpec()))), alone)
})

test('bytes may lie anywhere in a larger buffer, and are not changed', async () => {
  const png = await encodePng(noise(12, 19, 1, 16))
  const buffer = new Uint8Array(png.length + 9).fill(99)
  buffer.set(png, 3)
  const spec = plainSpec({ window: { low: 0, high: 65535 }, dtype: 'int16' })
  const { data } = await preprocess(buffer.subarray(3, 3 + png.length), spec)
  assert.deepEqual(data, (await preprocess(png, spec)).data)
  assert.deepEqual(buffer.subarray(3, 3 + png.length), png)
})

test('real radiographs are stored as Pillow would resize them', {
  skip: skipWithoutPillow || (existsSync(shared) ? false : 'no ../shared/data'),
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fiducial-preprocess-'))
  try {
    const files = (
      await Promise.all(
        ['chest-kermany', 'chest-nih64', 'histology-breakhis'].map(async (kind) => {
          const names = await readdir(join(shared, kind, 'images'))
          return names.sort().map((name) => join(shared, kind, 'images', name))
        }),
      )
    ).flatMap((names) => names.filter((_, i) => i % 40 === 0))
    await writeFile(join(folder, 'files'), files.join('\n'))
    await runPython(
      `
import numpy as np
from PIL import Image
for i, name in enumerate(open('files').read().split('\\n')):
    np.asarray(Image.open(name).convert('L').resize((80, 96), Image.BILINEAR)).tofile(f'{i}.bin')
`,
      folder,
    )
    for (const [i, file] of files.entries()) {
      const { data, source } = await preprocess(await readFile(file), plainSpec({ size: [96, 80] }))
      const worst = largestDifference(data, await readFile(join(folder, `${i}.bin`)))
      assert.ok(worst <= (source.lossy ? 2 : 0), `${file}: ${worst}`)
    }
    assert.ok(files.length > 30)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

test('lossy files say so in their header', async () => {
  const { data, height, width } = noise(16, 32, 3)
  const image = sharp(data, { raw: { height, width, channels: 3 } })
  const isLossy = async (bytes: Uint8Array) => (await preprocess(bytes, plainSpec())).source.lossy
  assert.equal(await isLossy(await image.jpeg().toBuffer()), true)
  assert.equal(await isLossy(await image.webp().toBuffer()), true)
  assert.equal(await isLossy(await image.webp({ lossless: true }).toBuffer()), false)
  assert.equal(await isLossy(await image.tiff({ compression: 'jpeg' }).toBuffer()), true)
  assert.equal(await isLossy(await image.tiff({ compression: 'lzw' }).toBuffer()), false)
})
