import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeRaster } from '#raster'
import type { VolumeSpec } from '../schema/preprocess.ts'
import { axcodes } from './geometry/orientation.ts'
import { ImageError } from './image_error.ts'
import { writeNifti } from './nifti/write.ts'
import { preprocessMask, preprocessVolume } from './preprocess_volume.ts'
import type { Raster } from './raster.ts'
import { readMask } from './read_mask.ts'
import { readVolume, readVolumeHeader } from './read_volume.ts'
import { handmadePng, handmadeTiff, pngChunk } from './testing/files.ts'

const refuses = (work: Promise<unknown>, reason: RegExp, advice = /./) =>
  assert.rejects(work, (error) => {
    assert.ok(error instanceof ImageError, String(error))
    assert.match(error.reason, reason)
    assert.match(error.advice, advice)
    return true
  })

/** 2 × 3 pixels, (r, g, b) = (10 i, 10 i + 1, 10 i + 2). */
const RGB: Raster = {
  data: Uint8Array.from({ length: 18 }, (_, i) => 10 * Math.floor(i / 3) + (i % 3)),
  height: 2,
  width: 3,
  channels: 3,
}
const grey = (values: readonly number[], height: number): Raster => ({
  data: Uint8Array.from(values),
  height,
  width: values.length / height,
  channels: 1,
})
const SPEC: VolumeSpec = {
  kind: 'volume',
  channels: 1,
  orientation: 'RAS',
  spacing_mm: [1, 1, 1],
  resample: 'linear',
  crop: 'none',
  size: null,
  intensity: [{ kind: 'window', low: 0, high: 255 }],
  dtype: 'uint8',
  distance_unit: 'px',
}
const mask = async (bytes: Uint8Array) => (await readMask(bytes, null)).volume

test('an RGB image is one slice of three channels on the grid of its pixels, which RAS leaves as it is', async () => {
  for (const format of ['png', 'tiff', 'webp'] as const) {
    const bytes = await encodeRaster(RGB, format)
    const { volume, format: found } = await readVolume([bytes])
    assert.equal(found, format)
    assert.deepEqual([volume.channels, volume.shape, volume.distance_unit], [3, [1, 2, 3], 'px'])
    assert.deepEqual([...volume.data], [0, 10, 20, 30, 40, 50, 1, 11, 21, 31, 41, 51, 2, 12, 22, 32, 42, 52])
    assert.equal(axcodes(volume.affine), 'RAS')
    const header = await readVolumeHeader(bytes)
    assert.deepEqual([header.shape, header.channels, header.bits], [[1, 2, 3], 3, 8])
    const stored = await preprocessVolume([bytes], {
      ...SPEC,
      channels: 3,
      intensity: [...SPEC.intensity, ...SPEC.intensity, ...SPEC.intensity],
    })
    assert.deepEqual([...stored.data], [...volume.data], 'windowed to 0..255 and stored as 8 bits: the same')
  }
})

test('16-bit grey keeps its samples, and two files are two channels', async () => {
  const deep: Raster = {
    data: Uint16Array.of(0, 300, 65535, 7, 8, 9),
    height: 2,
    width: 3,
    channels: 1,
  }
  const [a, b] = [
    await encodeRaster(deep, 'png'),
    await encodeRaster({ ...deep, data: deep.data.toReversed() }, 'tiff'),
  ]
  const { volume } = await readVolume([a, b])
  assert.deepEqual([volume.channels, volume.shape], [2, [1, 2, 3]])
  assert.deepEqual([...volume.data], [0, 300, 65535, 7, 8, 9, 9, 8, 7, 65535, 300, 0])
  assert.equal((await readVolumeHeader(a)).bits, 16)
})

test('an image of another depth than the spec is refused, a spec without a depth takes both, and channels share one', async () => {
  const shallow = await encodeRaster(grey([1, 2], 1), 'png')
  const deep = await encodeRaster({ data: Uint16Array.of(1, 2), height: 1, width: 2, channels: 1 }, 'png')
  await refuses(
    preprocessVolume([deep], { ...SPEC, bits: 8 }),
    /has 16 bits a sample; 8 are expected/,
    /export it from its source/,
  )
  await refuses(preprocessVolume([shallow], { ...SPEC, bits: 16 }), /has 8 bits a sample; 16 are expected/)
  for (const [file, bits] of [
    [shallow, 8],
    [deep, 16],
  ] as const) {
    const stored = await preprocessVolume([file], { ...SPEC, bits })
    assert.deepEqual([...stored.data], [1, 2])
    assert.deepEqual([...(await preprocessVolume([file], SPEC)).data], [1, 2])
  }
  await refuses(readVolume([deep, shallow]), /Channel 1 has 8 bits a sample and channel 0 16/)
})

test('16-bit values above the top of the window are noted', async () => {
  const top = { ...SPEC, bits: 16, intensity: [{ kind: 'window', low: 0, high: 4095 }] } as const
  const notesOf = async (value: number) => {
    const raster: Raster = { data: Uint16Array.of(0, value), height: 1, width: 2, channels: 1 }
    const { notes } = await preprocessVolume([await encodeRaster(raster, 'png')], {
      ...top,
      intensity: [...top.intensity],
    })
    return notes.join()
  }
  assert.match(await notesOf(4096), /values above 4095, where its window \(prepare.intensity\) ends/)
  assert.doesNotMatch(await notesOf(4095), /values above/)
})

test('an image that EXIF turns lies as it is displayed, and so does its mask on it', async () => {
  const turned = await encodeRaster(grey([1, 2, 3, 4, 5, 6], 2), 'tiff', { orientation: 6 })
  const { volume } = await readVolume([turned])
  // With the tag, the encoder writes grey as RGB.
  assert.deepEqual(
    [volume.shape, [...volume.data.slice(0, 6)]],
    [
      [1, 3, 2],
      [4, 1, 5, 2, 6, 3],
    ],
  )
  assert.deepEqual((await readVolumeHeader(turned)).shape, [1, 3, 2])
  assert.match((await readVolume([turned])).notes.join(), /turned upright by its EXIF tag/)
  const three = { channels: 3, intensity: [0, 1, 2].map(() => SPEC.intensity[0]!) }
  const stored = await preprocessVolume([turned], { ...SPEC, ...three })
  const upright = await encodeRaster(grey([0, 1, 0, 1, 0, 1], 3), 'png')
  assert.deepEqual([...(await preprocessMask(upright, stored)).mask], [0, 1, 0, 1, 0, 1])
  await refuses(
    preprocessMask(await encodeRaster(grey([0, 1, 0, 1, 0, 1], 2), 'png'), stored),
    /mask has 2×3 pixels and the image 3×2/,
    /upright/,
  )
})

test('spacing of 2 pixels halves rows and columns, and leaves the slice', async () => {
  const bytes = await encodeRaster(
    grey(
      Array.from({ length: 35 }, (_, i) => i),
      5,
    ),
    'png',
  )
  const stored = await preprocessVolume([bytes], { ...SPEC, spacing_mm: [1, 2, 2] })
  assert.deepEqual(stored.shape, [1, 1, 3, 4])
  assert.deepEqual([...stored.data], [0, 2, 4, 6, 14, 16, 18, 20, 28, 30, 32, 34])
})

test('a mask holds its values as stored: of 1, 2, 4, 8 and 16 bits, and the indices of a palette', async () => {
  assert.deepEqual(
    [...(await mask(await encodeRaster(grey([0, 255, 255, 0, 7, 0], 2), 'png'))).data],
    [0, 255, 255, 0, 7, 0],
  )
  const bits = (n: number, byte: number) =>
    handmadePng({ height: 1, width: 8 / n, bits: n, colourType: 0 }, [Uint8Array.of(byte)])
  assert.deepEqual([...(await mask(bits(1, 0b10110010))).data], [1, 0, 1, 1, 0, 0, 1, 0])
  assert.deepEqual([...(await mask(bits(2, 0b11100100))).data], [3, 2, 1, 0])
  assert.deepEqual([...(await mask(bits(4, 0x5f))).data], [5, 15])
  const palette = pngChunk('PLTE', Uint8Array.of(0, 0, 0, 220, 20, 60, 20, 60, 220))
  const indexed = handmadePng(
    { height: 2, width: 3, bits: 8, colourType: 3 },
    [Uint8Array.of(0, 2, 1), Uint8Array.of(1, 0, 2)],
    [palette, pngChunk('tRNS', Uint8Array.of(0))],
  )
  assert.deepEqual([...(await mask(indexed)).data], [0, 2, 1, 1, 0, 2])
  // As it is read from disk: a view of memory that others use too, which stays as it was.
  const pool = Buffer.concat([Buffer.alloc(40, 7), indexed, Buffer.alloc(40, 7)])
  const before = Buffer.from(pool)
  assert.deepEqual([...(await mask(pool.subarray(40, 40 + indexed.length))).data], [0, 2, 1, 1, 0, 2])
  assert.ok(pool.equals(before))
  const deep: Raster = { data: Uint16Array.of(0, 3), height: 1, width: 2, channels: 1 }
  assert.deepEqual([...(await mask(await encodeRaster(deep, 'tiff'))).data], [0, 3])
})

test('a mask in a TIFF holds its values as stored, at each depth and whether 0 is shown black or white', async () => {
  for (const [bits, pixels, values] of [
    [1, [0b10110010, 0b01000000], [1, 0, 1, 1, 0, 0, 1, 0, 0, 1]],
    [2, [0b11100100, 0b01110000], [3, 2, 1, 0, 1, 3]],
    [4, [0x5f, 0x20, 0x1a, 0x00], [5, 15, 2, 1, 10, 0]],
    [8, [0, 7, 255, 2, 1, 0], [0, 7, 255, 2, 1, 0]],
    [16, [0, 0, 3, 0, 44, 1, 255, 255], [0, 3, 300, 65535]],
  ] as const)
    for (const photometric of [0, 1]) {
      const height = bits <= 2 ? 1 : 2
      const header = { height, width: values.length / height, bits, photometric }
      const { data } = await mask(handmadeTiff(header, Uint8Array.from(pixels)))
      assert.deepEqual([...data], values, `${bits} bits, PhotometricInterpretation ${photometric}`)
    }
})

test('a TIFF mask with a palette is refused, as its indices are not read', async () => {
  const header = { height: 1, width: 3, bits: 4, photometric: 3 }
  const palette = Array.from({ length: 48 }, (_, i) => (i % 16) * 4369)
  await refuses(
    mask(handmadeTiff(header, Uint8Array.of(0x01, 0x20), palette)),
    /TIFF with a palette; its indices are not read/,
    /grey PNG/,
  )
})

test('a mask in RGB is taken where its components are equal, and refused where they are colours', async () => {
  const equal: Raster = { data: Uint8Array.of(0, 0, 0, 9, 9, 9), height: 1, width: 2, channels: 3 }
  assert.deepEqual([...(await mask(await encodeRaster(equal, 'png'))).data], [0, 9])
  await refuses(mask(await encodeRaster(RGB, 'png')), /in colour: pixel \(y 0, x 0\) is 0, 1, 2/, /grey PNG/)
})

test('masks that may be wrong are refused: lossy ones, transparent ones, and values beyond 255', async () => {
  const flat = grey(Array<number>(64).fill(1), 8)
  await refuses(mask(await encodeRaster(flat, 'jpeg')), /JPEG with lossy compression/, /grey PNG/)
  const clear: Raster = { data: Uint8Array.of(1, 255, 1, 0), height: 1, width: 2, channels: 2 }
  await refuses(mask(await encodeRaster(clear, 'png')), /transparent/)
  const image = await preprocessVolume([await encodeRaster(grey([1, 2], 1), 'png')], SPEC)
  const deep: Raster = { data: Uint16Array.of(0, 300), height: 1, width: 2, channels: 1 }
  await refuses(preprocessMask(await encodeRaster(deep, 'png'), image), /value 300/)
})

test('a volume where images are wanted is refused, and an image where volumes are', async () => {
  const nifti = await writeNifti(
    {
      data: Uint8Array.of(1, 2, 3, 4, 5, 6),
      channels: 1,
      shape: [1, 2, 3],
      affine: [0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1],
    },
    { gzip: true },
  )
  const png = await encodeRaster(grey([1, 2, 3, 4, 5, 6], 2), 'png')
  const { distance_unit: _, ...inMm } = SPEC
  await refuses(preprocessVolume([nifti], SPEC), /volume \(nifti\); 2D images are expected/)
  await refuses(preprocessVolume([png], inMm), /2D image \(png\); volumes are expected/)
  await refuses(readVolume([png, nifti]), /number 2 is not a PNG/)
  const stored = await preprocessVolume([nifti], inMm)
  await refuses(preprocessMask(png, stored), /mask is a 2D image and the image a volume/)
})
