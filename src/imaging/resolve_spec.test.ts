import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UserError } from '../schema/errors.ts'
import { ImageSpec } from '../schema/preprocess.ts'
import { ImagePrepare } from '../schema/recipe.ts'
import { inputNormalization } from './normalization.ts'
import { preprocess } from './preprocess.ts'
import type { Raster } from './raster.ts'
import { encodePng } from './raster_node.ts'
import { resolveSpec } from './resolve_spec.ts'
import { noise } from './testing/samples.ts'

const config = (changes: Record<string, unknown> = {}) => ImagePrepare.parse(changes)

async function* files(...items: (Raster | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const item of items) yield item instanceof Uint8Array ? item : await encodePng(item)
}

const grey16 = (...values: number[]): Raster => ({
  data: Uint16Array.from(values),
  height: 1,
  width: values.length,
  channels: 1,
})

test('8-bit files are stored as uint8, as they are', async () => {
  const spec = await resolveSpec(config({ size: 96 }), files(noise(9, 8, 1), noise(9, 8, 3)))
  assert.deepEqual(spec, {
    kind: 'image',
    size: [96, 96],
    channels: 1,
    fit: 'squash',
    resample: 'bilinear',
    antialias: true,
    pad_value: 0,
    window: null,
    exif_orientation: true,
    flip: [],
    channel_order: 'rgb',
    stain: null,
    dtype: 'uint8',
  })
  assert.deepEqual(ImageSpec.parse(spec), spec)
})

test('16-bit files are stored as int16, under a window to the next 2^n - 1 over the sample', async () => {
  const window = async (...largest: number[]) =>
    (await resolveSpec(config(), files(...largest.map((value) => grey16(0, value))))).window
  assert.deepEqual(await window(3000, 4095, 17), { low: 0, high: 4095 })
  assert.deepEqual(await window(4096), { low: 0, high: 8191 })
  assert.deepEqual(await window(65535), { low: 0, high: 65535 })
  assert.deepEqual(await window(9), { low: 0, high: 255 })
  assert.equal((await resolveSpec(config(), files(grey16(7)))).dtype, 'int16')
})

test('what the recipe says is kept', async () => {
  const spec = await resolveSpec(
    config({ size: [40, 30], window: { low: -5, high: 900 }, dtype: 'uint8', channels: 3, fit: 'crop' }),
    files(grey16(1, 2)),
  )
  assert.deepEqual([spec.size, spec.window, spec.dtype], [[40, 30], { low: -5, high: 900 }, 'uint8'])
  assert.deepEqual([spec.channels, spec.fit], [3, 'crop'])
})

test('no file is read when nothing depends on the files', async () => {
  async function* unreadable(): AsyncGenerator<Uint8Array> {
    yield assert.fail('read')
  }
  const spec = await resolveSpec(config({ window: { low: 0, high: 10 }, dtype: 'int16' }), unreadable())
  assert.equal(spec.dtype, 'int16')
})

test('a stain method by name means its published target, in 8 bits', async () => {
  const spec = await resolveSpec(config({ stain: 'macenko', channels: 3 }), files(noise(9, 8, 3, 16)))
  assert.deepEqual(spec.stain, {
    kind: 'macenko',
    target_stains: [
      [0.5626, 0.7201, 0.4062],
      [0.2159, 0.8012, 0.5581],
    ],
    target_max: [1.9705, 1.0308],
  })
  assert.equal(spec.dtype, 'uint8')
  await assert.rejects(
    resolveSpec(config({ stain: 'reinhard', dtype: 'int16' }), files(noise(9, 8, 3))),
    /prepare\.stain works on 8-bit RGB/,
  )
})

test('unreadable files in the sample are passed over, unless there is no other', async () => {
  const text = new TextEncoder().encode('hello')
  assert.equal((await resolveSpec(config(), files(text, noise(9, 8, 1)))).dtype, 'uint8')
  await assert.rejects(resolveSpec(config(), files(text)), (error: UserError) => {
    assert.ok(error instanceof UserError)
    assert.match(error.message, /None of the sampled images can be read\. The last: The file is text/)
    return true
  })
  await assert.rejects(resolveSpec(config(), files()), /no image to look at/)
})

test('8-bit and 16-bit files together are refused: their values are not comparable', async () => {
  await assert.rejects(
    resolveSpec(config(), files(noise(9, 8, 1), grey16(1), grey16(2))),
    /1 have 8-bit and 2 16-bit/,
  )
})

test("the network's first node undoes the stored type and applies the statistics", async () => {
  const values = [0, 1000, 4095]
  const spec = await resolveSpec(config({ size: [1, 3] }), files(grey16(...values)))
  const { data, dtype } = await preprocess(await encodePng(grey16(...values)), spec)
  const { offset, scale, mean, std } = inputNormalization(dtype, [0.25], [0.5])
  for (const [i, stored] of data.entries()) {
    const normalised = ((stored + offset) * scale - mean[0]!) / std[0]!
    assert.ok(Math.abs(normalised - (values[i]! / 4095 - 0.25) / 0.5) < 1e-4)
  }
  assert.deepEqual(inputNormalization('uint8', [0.1, 0.2, 0.3], [1, 0, 2]), {
    offset: 0,
    scale: 1 / 255,
    mean: [0.1, 0.2, 0.3],
    std: [1, 1, 2],
  })
})
