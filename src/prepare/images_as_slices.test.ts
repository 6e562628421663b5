import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { encodeRaster } from '#raster'
import { parseRecipe } from '../schema/parse.ts'
import type { VolumeShardCase } from '../schema/shard_set.ts'
import { drawnImage, writeDrawnNnUNet, writeDrawnTable } from '../sources/raster_fixture.ts'
import { nameOf } from './shard_set.ts'
import { readShardCases } from './staging.ts'
import { readStoredVolume } from './stored_volume.ts'
import { prepareSmall } from './testing/small_data_set.ts'

// 2D images with masks, stored as volumes of one slice.
const base = await mkdtemp(join(tmpdir(), 'fiducial-images-as-slices-'))
after(() => rm(base, { recursive: true }))

const TABLE = { kind: 'csv', file: 'cases.csv', image: 'image', mask: 'mask', patient: 'patient' }
const recipeOf = (root: string, source: unknown, value: number, more: object = {}) =>
  parseRecipe(
    {
      name: 'slices',
      data: { root, source, split: { val: 0.25, test: 0.25 }, max_quarantined: 10 },
      task: { kind: 'segment', labels: { ellipse: value } },
      ...more,
    },
    'a recipe of a test',
  )

test('RGB images keep pixels, size and values, and auto says so', async () => {
  const root = join(base, 'rgb')
  await writeDrawnTable(root, 6)
  const { dir, index, log } = await prepareSmall(recipeOf(root, TABLE, 255), join(base, 'a'))
  assert(index.kind === 'volumes')
  const { preprocess } = index
  assert.deepEqual(
    [preprocess.channels, preprocess.spacing_mm, preprocess.dtype, preprocess.distance_unit, preprocess.bits],
    [3, [1, 1, 1], 'uint8', 'px', 8],
  )
  assert.deepEqual(preprocess.intensity[0], { kind: 'window', low: 0, high: 255 })
  assert.match(log.join('\n'), /every pixel as it is[\s\S]*window 0 to 255, the range of 8-bit images/)
  for (const { file } of index.shards) {
    const row = (await readShardCases(dir, nameOf(file)))[0] as VolumeShardCase
    const { image, mask } = drawnImage(Number(row.case_id.slice(-3)), 3)
    const { data, shape } = await readStoredVolume(join(dir, file), index)
    assert.deepEqual(shape, [3, 1, image.height, image.width])
    for (let c = 0, i = 0; c < 3; c++)
      for (let at = c; at < image.data.length; at += 3) assert.equal(data[i++], image.data[at])
    const inside = mask.data.filter((value) => value === 255).length
    assert.deepEqual(row.mask_voxels, inside === 0 ? {} : { 255: inside })
  }
})

test('two grey files are two channels, told apart by their numbers', async () => {
  const root = join(base, 'grey')
  await writeDrawnNnUNet(root, 4, { rgb: false, ending: '.tif' })
  const { dir, index } = await prepareSmall(recipeOf(root, 'nnunet', 1), join(base, 'b'))
  assert(index.kind === 'volumes')
  assert.equal(index.preprocess.channels, 2)
  const { data } = await readStoredVolume(join(dir, index.shards[0]!.file), index)
  const half = data.length / 2
  assert.deepEqual([...data.subarray(0, 9)], [...data.subarray(half).toReversed().subarray(0, 9)])
})

test('16-bit images are windowed to the power of two above what they reach, and stored as int16', async () => {
  const root = join(base, 'deep')
  await writeDrawnTable(root, 20, 1)
  for (const name of await readdir(join(root, 'images'))) {
    const number = Number(name.slice(6, 9))
    const { image } = drawnImage(number, 1)
    // The brightest is none of the eight cases of which the voxels of volumes are read.
    const deep = { ...image, data: Uint16Array.from(image.data, (value) => value * (number === 18 ? 15 : 7)) }
    await writeFile(join(root, 'images', name), await encodeRaster(deep, 'png'))
  }
  const { index, log } = await prepareSmall(recipeOf(root, TABLE, 255), join(base, 'c'))
  assert(index.kind === 'volumes')
  assert.deepEqual(index.preprocess.intensity, [{ kind: 'window', low: 0, high: 4095 }])
  assert.deepEqual([index.preprocess.dtype, index.preprocess.bits], ['int16', 16])
  assert.match(log.join('\n'), /window 0 to 4095, as the 16-bit images reach/)
})

test('spacing of [1, 2, 2] shrinks what is stored and not what is remembered of the files', async () => {
  const root = join(base, 'rgb')
  const recipe = recipeOf(root, TABLE, 255, { prepare: { spacing_mm: [1, 2, 2] } })
  const { dir, index } = await prepareSmall(recipe, join(base, 'a'))
  const row = (await readShardCases(dir, nameOf(index.shards[0]!.file)))[0] as VolumeShardCase
  const { image } = drawnImage(Number(row.case_id.slice(-3)), 3)
  assert.deepEqual(row.source_shape, [1, image.height, image.width])
  assert.deepEqual(row.shape.slice(0, 3), [3, 1, 20])
})

test('a mask with a value that the task does not name, and one of another size, are quarantined with both', async () => {
  const root = join(base, 'bad')
  await writeDrawnTable(root, 8)
  const { mask } = drawnImage(1, 1, 7)
  await writeFile(join(root, 'masks/drawn_001.png'), await encodeRaster(mask, 'png'))
  await writeFile(join(root, 'masks/drawn_002.png'), await encodeRaster(drawnImage(3, 1).mask, 'png'))
  await writeFile(join(root, 'masks/drawn_003.png'), await encodeRaster(drawnImage(3, 1).mask, 'jpeg'))
  const { result } = await prepareSmall(recipeOf(root, TABLE, 255), join(base, 'd'))
  const reasons = Object.fromEntries(result.quarantined.map((one) => [one.case_id, one.reason]))
  assert.equal(result.cases, 5)
  assert.match(
    reasons['images/drawn_001']!,
    /holds 7 \(\d+ voxels\), which nothing names; the labels are 0, 255/,
  )
  assert.match(reasons['images/drawn_002']!, /mask has 38×61 pixels and the image 38×58/)
  assert.match(reasons['images/drawn_003']!, /lossy compression/)
})

test('an axis that 2D images do not have is warned of where it is named', async () => {
  const root = join(base, 'axes')
  await writeDrawnTable(root, 8)
  const recipe = recipeOf(root, TABLE, 255)
  recipe.evaluate.mirror = ['z', 'x']
  const { warnings } = await prepareSmall(recipe, join(base, 'f'))
  assert.ok(warnings.some((one) => one.startsWith('evaluate.mirror names z')))
})

test('images and volumes do not go together, nor grey and RGB', async () => {
  const root = join(base, 'mixed')
  await writeDrawnTable(root, 8)
  await writeFile(join(root, 'images/drawn_000.png'), await encodeRaster(drawnImage(0, 1).image, 'png'))
  await assert.rejects(
    prepareSmall(recipeOf(root, TABLE, 255), join(base, 'e')),
    /Some of the sampled images have 1, some 3 channels \([13] channels?: \w+.*\)[\s\S]*do: convert all/,
  )
})

test('images of 8 and of 16 bits do not go together, whatever the intensity', async () => {
  const root = join(base, 'depths')
  await writeDrawnTable(root, 6, 1)
  const { image } = drawnImage(2, 1)
  const deep = { ...image, data: Uint16Array.from(image.data, (value) => value * 15) }
  await writeFile(join(root, 'images/drawn_002.png'), await encodeRaster(deep, 'png'))
  for (const intensity of ['auto', 'zscore'])
    await assert.rejects(
      prepareSmall(recipeOf(root, TABLE, 255, { prepare: { intensity } }), join(base, 'f')),
      /Of 6 sampled images 1 has 16 bits a sample and the others 8[\s\S]*do: export all/,
    )
})
