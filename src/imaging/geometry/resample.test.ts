import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ImageError } from '../image_error.ts'
import { noiseVolume, variedGrids } from '../testing/grids.ts'
import type { Affine, Triple, Volume } from '../volume.ts'
import { apply, invert, voxelSizes } from './affine.ts'
import { axisMaps, type Grid, planGrid } from './grid.ts'
import { axcodes, reorient } from './orientation.ts'
import { resample } from './resample.ts'

const AFFINE: Affine = [0, 0, 1.3, -20, 0, 0.9, 0, 7, 2.7, 0, 0, 30, 0, 0, 0, 1]

test('every value is the trilinear one of its place in the patient, over more slices than are held at once', () => {
  for (const [n, { affine, name }] of variedGrids().entries()) {
    const volume = noiseVolume({ shape: [71, 9, 47], affine }, 2, n)
    const grid = planGrid(volume, { orientation: 'RAS', spacing_mm: [1.7, 2.1, 1.1] })
    const found = resample(volume, grid, { interpolation: 'linear' })
    const back = invert(affine)
    let at = 0
    for (let c = 0; c < 2; c++)
      for (let z = 0; z < grid.shape[0]; z++)
        for (let y = 0; y < grid.shape[1]; y++)
          for (let x = 0; x < grid.shape[2]; x++, at++) {
            const expected = trilinear(volume, c, apply(back, apply(grid.affine, [z, y, x])))
            const difference = Math.abs(found.data[at]! - expected)
            assert.ok(difference < 1e-5, `${name}: ${difference} at ${[c, z, y, x]}`)
          }
  }
})

test('integers of any type become float32 by the same values as floats', () => {
  const floats = noiseVolume({ shape: [40, 7, 11], affine: AFFINE }, 1)
  for (const [i, value] of floats.data.entries()) floats.data[i] = Math.round(value * 100)
  for (const orientation of ['LPS', 'SAR']) {
    const grid = planGrid(floats, { orientation, spacing_mm: [1, 2, 1.5] })
    const expected = resample(floats, grid, { interpolation: 'linear' }).data
    for (const Type of [Int8Array, Int16Array, Int32Array, Float64Array]) {
      const found = resample({ ...floats, data: Type.from(floats.data) }, grid, { interpolation: 'linear' })
      assert.deepEqual(found.data, expected)
    }
  }
})

test('labels keep their type and take no value that was not there', () => {
  const floats = noiseVolume({ shape: [40, 7, 11], affine: AFFINE }, 1)
  const labels: Volume = { ...floats, data: Int16Array.from(floats.data, (value) => (value > 0 ? 3001 : -7)) }
  const grid = planGrid(labels, { orientation: 'PSL', spacing_mm: [1, 2, 1.5] })
  const found = resample(labels, grid, { interpolation: 'nearest' })
  assert.ok(found.data instanceof Int16Array)
  assert.deepEqual([...new Set(found.data)].sort(), [-7, 3001])
})

test('cubic interpolation reproduces a quadratic away from the border, and a constant everywhere', () => {
  const shape: Triple = [13, 11, 15]
  const quadratic = ([z, y, x]: Triple) => 0.3 * z * z - 0.2 * y * y + 0.1 * x * x + 0.5 * z * y - x + 2
  const volume = sampled(shape, quadratic)
  const grid = planGrid(volume, { orientation: 'LSA', spacing_mm: [1.1, 0.61, 1.9] })
  const found = resample(volume, grid, { interpolation: 'cubic' })
  const back = invert(volume.affine)
  let numInner = 0
  for (let z = 0, at = 0; z < grid.shape[0]; z++)
    for (let y = 0; y < grid.shape[1]; y++)
      for (let x = 0; x < grid.shape[2]; x++, at++) {
        const index = apply(back, apply(grid.affine, [z, y, x]))
        if (!index.every((value, k) => value >= 1 && value <= shape[k]! - 2)) continue
        numInner++
        assert.ok(Math.abs(found.data[at]! - quadratic(index)) < 1e-4)
      }
  assert.ok(numInner > 500)
  const flat = resample(
    sampled(shape, () => 5),
    grid,
    { interpolation: 'cubic' },
  )
  assert.ok(flat.data.every((value) => value === 5))
})

test('a volume of one slice keeps its one slice', () => {
  const slice = noiseVolume({ shape: [1, 9, 12], affine: AFFINE }, 1)
  const grid = planGrid(slice, { orientation: 'RAS', spacing_mm: [1, 1.5, 1.5] })
  assert.equal(grid.shape[0], 1)
  const { data } = resample(slice, grid, { interpolation: 'linear' })
  assert.ok(data.every(Number.isFinite))
})

test('shear is kept: the way there stays aligned with the source', () => {
  const sheared: Grid = {
    shape: [9, 10, 11],
    affine: [0.4, 0, 1.3, 0, 0, 0.9, 0, 0, 2.7, 0, 0, 0, 0, 0, 0, 1],
  }
  const target = planGrid(sheared, { orientation: 'LPS', spacing_mm: [2, 2, 2] })
  assert.deepEqual(
    axisMaps(sheared, target).map(({ axis }) => axis),
    [0, 1, 2],
  )
  assert.ok(voxelSizes(target.affine).every((size) => Math.abs(size - 2) < 1e-9))
})

test('what cannot be planned is refused with what to do', () => {
  const request = { orientation: 'RAS', spacing_mm: [1, 1, 1] as Triple }
  const refused = (grid: Partial<Grid>, change: object, message: RegExp) =>
    assert.throws(
      () => planGrid({ shape: [3, 4, 5], affine: AFFINE, ...grid }, { ...request, ...change }),
      (error) => error instanceof ImageError && message.test(error.message),
    )
  refused({ affine: AFFINE.map((v, k) => (k === 2 ? Number.NaN : v)) }, {}, /not finite/)
  refused({ affine: AFFINE.map((v, k) => (k % 4 === 1 ? 0 : v)) }, {}, /singular/)
  refused({ affine: [0, 0, 1, 0, 0, 0, 2, 0, 3, 0, 4, 0, 0, 0, 0, 1] }, {}, /singular/)
  refused({ affine: [1, 0, 0] }, {}, /3 numbers/)
  refused({ affine: AFFINE.map((v, k) => (k === 12 ? 1 : v)) }, {}, /last row/)
  refused({}, { orientation: 'RAR' }, /no orientation/)
  refused({}, { orientation: 'ras' }, /no orientation/)
  refused({}, { spacing_mm: [1, 0, 1] }, /cannot be made/)
  const turned = variedGrids().find(({ name }) => name.endsWith('oblique'))!
  assert.throws(() => axisMaps({ shape: [9, 9, 9], affine: AFFINE }, turned), /not aligned/)
})

test('a volume that already runs as asked is returned itself; one turned twice is as before', () => {
  const volume = noiseVolume({ shape: [3, 4, 5], affine: AFFINE }, 2)
  assert.equal(axcodes(AFFINE), 'RAS')
  assert.equal(reorient(volume, 'RAS'), volume)
  const back = reorient(reorient(volume, 'IPR'), 'RAS')
  assert.deepEqual(back.data, volume.data)
  for (const [k, value] of back.affine.entries()) assert.ok(Math.abs(value - AFFINE[k]!) < 1e-12)
})

function sampled(shape: Triple, value: (index: Triple) => number): Volume {
  const data = new Float64Array(shape[0] * shape[1] * shape[2])
  for (let z = 0, at = 0; z < shape[0]; z++)
    for (let y = 0; y < shape[1]; y++) for (let x = 0; x < shape[2]; x++) data[at++] = value([z, y, x])
  return { data, channels: 1, shape, affine: AFFINE }
}

/** Slow and plain, with the border's values outside. */
function trilinear({ data, shape }: Volume, channel: number, index: Triple): number {
  const within = index.map((value, k) => Math.min(shape[k]! - 1, Math.max(0, value)))
  let sum = 0
  for (let corner = 0; corner < 8; corner++) {
    let weight = 1
    let at = channel
    for (let k = 0; k < 3; k++) {
      const low = Math.floor(within[k]!)
      const isHigh = (corner >> k) & 1
      weight *= isHigh ? within[k]! - low : 1 - (within[k]! - low)
      at = at * shape[k]! + Math.min(shape[k]! - 1, low + isHigh)
    }
    if (weight > 0) sum += weight * data[at]!
  }
  return sum
}
