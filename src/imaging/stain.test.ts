import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { decodeImage } from './decode_image.ts'
import { ImageError } from './image_error.ts'
import { percentile } from './percentile.ts'
import type { Raster } from './raster.ts'
import { applyStain } from './stain.ts'
import { STAIN_TARGETS } from './stain_targets.ts'
import { runPython, skipWithoutPillow } from './testing/pillow.ts'
import { digest, noise, tissueTile } from './testing/samples.ts'

const tiles = join(import.meta.dirname, '../../../shared/data/histology-breakhis/images')
const skipWithoutTiles = existsSync(tiles) ? false : 'no ../shared/data/histology-breakhis'

/** Both methods straight from their papers, with logarithms, exponentials, arctangents and LAPACK. */
const REFERENCE = `
import json, numpy as np
target = json.load(open('targets.json'))
to_lms = np.array([[.3811, .5783, .0402], [.1967, .7244, .0782], [.0241, .1288, .8444]])
to_lab = np.diag([1 / np.sqrt(3), 1 / np.sqrt(6), 1 / np.sqrt(2)]) @ np.array([[1, 1, 1], [1, 1, -2], [1, -1, 0]])

def reinhard(rgb):
    lab = np.log(np.maximum(rgb @ to_lms.T, .0402)) @ to_lab.T
    lab = (lab - lab.mean(0)) / lab.std(0) * target['reinhard']['target_std'] + target['reinhard']['target_mean']
    return np.exp(lab @ np.linalg.inv(to_lab).T) @ np.linalg.inv(to_lms).T

def macenko(rgb):
    density = -np.log((rgb + 1) / 240)
    tissue = density[(density >= .15).all(1)]
    vectors = np.linalg.eigh(np.cov(tissue.T))[1][:, [2, 1]]
    if (tissue @ vectors[:, 0]).mean() < 0: vectors[:, 0] *= -1
    along, across = (tissue @ vectors).T
    angle = np.arctan2(across, along)
    a, b = [vectors @ [np.cos(q), np.sin(q)] for q in np.percentile(angle, [1, 99])]
    stains = np.array([a, b] if a[0] > b[0] else [b, a]).T
    amounts = np.linalg.lstsq(stains, density.T, rcond=None)[0]
    amounts *= (target['macenko']['target_max'] / np.percentile(amounts, 99, axis=1))[:, None]
    return 240 * np.exp(-np.array(target['macenko']['target_stains']).T @ amounts).T

for i in range(int(open('count').read())):
    rgb = np.fromfile(f'tile{i}.bin', np.uint8).reshape(-1, 3).astype(float)
    for name, method in (('reinhard', reinhard), ('macenko', macenko)):
        np.clip(np.floor(method(rgb) + .5), 0, 255).astype(np.uint8).tofile(f'{name}{i}.bin')
`

async function assertLikeReference(rasters: Raster[]): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'fiducial-stain-'))
  try {
    await writeFile(join(folder, 'targets.json'), JSON.stringify(STAIN_TARGETS))
    await writeFile(join(folder, 'count'), String(rasters.length))
    for (const [i, { data }] of rasters.entries()) await writeFile(join(folder, `tile${i}.bin`), data)
    await runPython(REFERENCE, folder)
    for (const [i, raster] of rasters.entries())
      for (const kind of ['reinhard', 'macenko'] as const) {
        const expected = await readFile(join(folder, `${kind}${i}.bin`))
        const { raster: found, notes } = applyStain(raster, STAIN_TARGETS[kind])
        assert.deepEqual(notes, [])
        let differing = 0
        for (let k = 0; k < expected.length; k++) {
          const difference = Math.abs(expected[k]! - found.data[k]!)
          assert.ok(
            difference <= 1,
            `${kind} tile ${i} sample ${k}: ${found.data[k]}, reference ${expected[k]}`,
          )
          differing += difference
        }
        assert.ok(
          differing / expected.length < 0.001,
          `${kind} tile ${i}: ${differing} of ${expected.length} differ`,
        )
      }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

test('Reinhard and Macenko agree with their papers to one grey level on tissue-like tiles', {
  skip: skipWithoutPillow,
}, async () => {
  await assertLikeReference([tissueTile(90, 70), tissueTile(61, 83, 0.5, 2), tissueTile(50, 130, 1.5, 3)])
})

test('Reinhard and Macenko agree with their papers to one grey level on real H&E tiles', {
  skip: skipWithoutPillow || skipWithoutTiles,
}, async () => {
  const files = (await readdir(tiles)).sort().filter((_, i) => i % 13 === 0)
  const decoded = await Promise.all(
    files.map(async (file) => decodeImage(await readFile(join(tiles, file)), { exif_orientation: true })),
  )
  await assertLikeReference(decoded.map(({ raster }) => raster))
})

test('the normalised pixels are the same on every platform', () => {
  const found = (['reinhard', 'macenko'] as const).map((kind) =>
    digest(applyStain(tissueTile(40, 30), STAIN_TARGETS[kind]).raster.data),
  )
  assert.deepEqual(found, [
    '2eb2c1a9fe6eb9b2f3eacd876834f5f71953e381ea7b4b9c9b14cd8e3956e1a7',
    'c6f7c8e5b405a41445271e6a8a0de8185116dd182ba78832cc02493bdac4cea7',
  ])
})

test('two staining depths of one tissue come out alike', () => {
  const meanDifference = (a: Raster, b: Raster) =>
    Array.from(a.data).reduce((sum, v, i) => sum + Math.abs(v - b.data[i]!), 0) / a.data.length
  const [pale, deep] = [tissueTile(60, 50, 0.6), tissueTile(60, 50, 1.2)]
  const before = meanDifference(pale, deep)
  for (const kind of ['reinhard', 'macenko'] as const) {
    const [a, b] = [pale, deep].map((tile) => applyStain(tile, STAIN_TARGETS[kind]).raster)
    assert.ok(meanDifference(a!, b!) < before / 2, `${kind}: ${meanDifference(a!, b!)}, before ${before}`)
  }
})

test('a tile of bare glass keeps its colours, with a note', () => {
  const glass = noise(20, 30, 3)
  const uniform = { ...glass, data: new Uint8Array(glass.data.length).fill(243) }
  const flickering = { ...glass, data: Uint8Array.from(glass.data, (v) => 243 + (v % 3)) }
  const black = { ...glass, data: new Uint8Array(glass.data.length) }
  for (const kind of ['reinhard', 'macenko'] as const)
    for (const tile of [uniform, flickering, black]) {
      const { raster, notes } = applyStain(tile, STAIN_TARGETS[kind])
      assert.equal(raster, tile)
      assert.match(notes.join(), /too little stain/)
    }
})

test('a tile with a single stain is left alone by Macenko: a second one would be invented', () => {
  const depths = Array.from({ length: 400 }, (_, i) => 0.4 + i / 400)
  const data = Uint8Array.from(depths.flatMap((d) => [0, 1, 2].map(() => 240 * Math.exp(-d) - 1)))
  const { notes } = applyStain({ data, height: 16, width: 25, channels: 3 }, STAIN_TARGETS.macenko)
  assert.match(notes.join(), /too little stain/)
})

test('a grey file is refused, and so are 16-bit values', () => {
  assert.throws(() => applyStain(noise(9, 8, 1), STAIN_TARGETS.reinhard), ImageError)
  assert.throws(() => applyStain(noise(9, 8, 3, 16), STAIN_TARGETS.macenko), /uint8/)
})

test('a percentile lies between order statistics as in NumPy', () => {
  const values = Float64Array.of(5, 1, 4, 1, 3)
  assert.deepEqual(
    [0, 10, 25, 60, 99, 100].map((q) => percentile(values, q)),
    [1, 1, 1, 3.4, 4.96, 5],
  )
  assert.deepEqual([...values], [5, 1, 4, 1, 3])
})
