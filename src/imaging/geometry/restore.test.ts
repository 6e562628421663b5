import assert from 'node:assert/strict'
import { test } from 'node:test'
import { variedGrids } from '../testing/grids.ts'
import type { Triple, Volume } from '../volume.ts'
import { apply, voxelSizes } from './affine.ts'
import { crop, foregroundBox } from './crop.ts'
import { type Grid, type GridRequest, planGrid } from './grid.ts'
import { resample } from './resample.ts'
import { restoreLabels, restoreMask } from './restore.ts'

const REQUESTS: GridRequest[] = [
  { orientation: 'RAS', spacing_mm: [2, 1.5, 1.5] },
  { orientation: 'SLP', spacing_mm: [1.1, 2.3, 0.8] },
  { orientation: null, spacing_mm: [3, 1.2, 2.1] },
  { orientation: 'LPS', spacing_mm: null },
]

test('an ellipsoid comes back on its own grid: surface and centroid within half a voxel', () => {
  let worstCentroid = 0
  for (const source of variedGrids())
    for (const request of REQUESTS) {
      const name = `${source.name}, ${request.orientation} ${request.spacing_mm}`
      const blob = blobIn(source)
      const stored = planGrid(source, request)
      const found = restoreLabels(twoClasses(stored, blob), source, { kind: 'argmax', values: [0, 7] })
      assert.deepEqual([...found.shape], [...source.shape])
      assert.deepEqual(found.affine, source.affine)
      const error = compareWith(blob, found, 7)
      assert.ok(
        error.surface_mm < 0.5 * Math.min(...voxelSizes(source.affine)),
        `${name}: ${error.surface_mm} mm`,
      )
      assert.ok(error.centroid_voxels < 0.5, `${name}: ${error.centroid_voxels} voxels`)
      worstCentroid = Math.max(worstCentroid, error.centroid_voxels)
    }
  assert.ok(worstCentroid < 0.2, `the worst centroid is ${worstCentroid} voxels off`)
})

test('so does one stored cropped to its surroundings; what was cropped away is background', () => {
  for (const source of variedGrids()) {
    const blob = blobIn(source)
    const whole = twoClasses(planGrid(source, REQUESTS[0]!), blob)
    const inner: Volume = { ...whole, channels: 1, data: whole.data.subarray(whole.data.length / 2) }
    const stored = crop(whole, foregroundBox(inner, 0.3)!) as typeof whole
    assert.ok(stored.data.length < whole.data.length, 'something was cropped')
    const found = restoreLabels(stored, source, { kind: 'argmax', values: [0, 1] })
    const error = compareWith(blob, found, 1)
    assert.ok(
      error.surface_mm < 0.5 * Math.min(...voxelSizes(source.affine)),
      `${source.name}: ${error.surface_mm} mm`,
    )
  }
})

test('a mask comes back from the nearest voxels: no surface moves more than half a stored voxel', () => {
  for (const source of variedGrids())
    for (const request of REQUESTS) {
      const blob = blobIn(source)
      const stored = planGrid(source, request)
      const mask = maskOf(stored, blob)
      const found = restoreMask(mask, source)
      assert.ok(found.data instanceof Uint8Array)
      const half = Math.hypot(...voxelSizes(stored.affine)) / 2
      const { surface_mm } = compareWith(blob, found, 1)
      assert.ok(
        surface_mm <= half + 1e-6,
        `${source.name}, ${request.spacing_mm}: ${surface_mm} of ${half} mm`,
      )
    }
})

test('no voxel at the rim is lost: a stored grid full of foreground fills the source', () => {
  for (const source of variedGrids())
    for (const affine of [source.affine, source.affine.map(Math.fround)])
      for (const { orientation, spacing_mm } of [
        ...REQUESTS,
        { orientation: 'RAS', spacing_mm: [0.5, 0.4, 0.3] as Triple },
      ]) {
        const own: Grid = { shape: [7, 9, 8], affine }
        const { shape, affine: placed } = planGrid(own, { orientation, spacing_mm })
        const size = shape[0] * shape[1] * shape[2]
        const mask: Volume = { data: new Uint8Array(size).fill(1), channels: 1, shape, affine: placed }
        const name = `${source.name}, ${orientation} ${spacing_mm}`
        assert.ok(
          restoreMask(mask, own).data.every((value) => value === 1),
          name,
        )
        const sure = { ...mask, data: new Float32Array(2 * size).fill(1, size), channels: 2 }
        const labels = restoreLabels(sure, own, { kind: 'argmax', values: [0, 1] })
        assert.ok(
          labels.data.every((value) => value === 1),
          name,
        )
      }
})

test('reorientation alone, there and back, changes no label', () => {
  for (const source of variedGrids()) {
    const mask = maskOf(source, blobIn(source))
    const stored = resample(mask, planGrid(source, { orientation: 'PIR', spacing_mm: null }), {
      interpolation: 'nearest',
    })
    assert.deepEqual(restoreMask(stored, source).data, mask.data)
  }
})

test('regions are painted in their order, over each other, where their own probability is a half or more', () => {
  const grid: Grid = { shape: [1, 2, 3], affine: [0, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0, 0, 0, 0, 0, 1] }
  const data = Float32Array.of(
    ...[0.9, 0.5, 0.49, 0.9, 0, 0.2],
    ...[0.1, 0.7, 0.1, 0.5, 0, 0.6],
    ...[0.2, 0.8, 0.2, 0.1, 0, 0.1],
  )
  const found = restoreLabels({ data, channels: 3, ...grid }, grid, { kind: 'regions', values: [2, 1, 4] })
  assert.deepEqual(found.data, Uint8Array.of(2, 4, 0, 1, 0, 1))
})

test('of equal probabilities the earlier class wins, large labels get a type that holds them, NaN is refused', () => {
  const grid: Grid = { shape: [1, 1, 2], affine: [0, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0, 0, 0, 0, 0, 1] }
  const probabilities = { data: Float32Array.of(0.4, 0.2, 0.4, 0.4, 0.2, 0.4), channels: 3, ...grid }
  assert.deepEqual(
    restoreLabels(probabilities, grid, { kind: 'argmax', values: [0, 300, 9] }).data,
    Int16Array.of(0, 300),
  )
  assert.throws(
    () => restoreLabels(probabilities, grid, { kind: 'argmax', values: [0, 1] }),
    /give one whole number per channel/,
  )
  probabilities.data[3] = Number.NaN
  assert.throws(
    () => restoreLabels(probabilities, grid, { kind: 'argmax', values: [0, 1, 2] }),
    /1 of the model's probabilities are NaN/,
  )
})

/** An ellipsoid in the patient, within a grid. */
interface Blob {
  centre: Triple
  radii: Triple
}

function blobIn({ shape, affine }: Grid): Blob {
  const middle = shape.map((n, k) => (n - 1) / 2 + [0.3, -0.4, 0.2][k]!) as unknown as Triple
  return { centre: apply(affine, middle), radii: [4.6, 5.2, 5.8] }
}

/** Mm to the surface, about: exact where it is 0, negative outside. */
function depth({ centre, radii }: Blob, point: Triple): number {
  const offset = point.map((value, k) => value - centre[k]!)
  const level = Math.hypot(...offset.map((value, k) => value / radii[k]!))
  const gradient = Math.hypot(...offset.map((value, k) => value / radii[k]! ** 2)) / (level || 1)
  return level < 0.2 ? Math.min(...radii) * (1 - level) : (1 - level) / gradient
}

/** What a network that is right would say: probabilities of background and blob, smooth across the surface. */
function twoClasses({ shape, affine }: Grid, blob: Blob): Volume & { data: Float32Array } {
  const size = shape[0] * shape[1] * shape[2]
  const data = new Float32Array(2 * size)
  for (const [i, index] of indices(shape).entries()) {
    const p = 1 / (1 + Math.exp(-depth(blob, apply(affine, index)) / 2))
    data[i] = 1 - p
    data[size + i] = p
  }
  return { data, channels: 2, shape, affine }
}

function maskOf({ shape, affine }: Grid, blob: Blob): Volume {
  const data = Uint8Array.from(indices(shape), (index) => (depth(blob, apply(affine, index)) >= 0 ? 1 : 0))
  return { data, channels: 1, shape, affine }
}

/** How deep the deepest wrong voxel lies, and how far the centroid is from the ellipsoid's centre. */
function compareWith(blob: Blob, { data, shape, affine }: Volume, label: number) {
  let surface = 0
  let count = 0
  const sum = [0, 0, 0]
  const expected = [0, 0, 0]
  let numExpected = 0
  for (const [i, index] of indices(shape).entries()) {
    const inside = depth(blob, apply(affine, index))
    const isLabelled = data[i] === label
    if (isLabelled !== inside >= 0) surface = Math.max(surface, Math.abs(inside))
    for (let k = 0; k < 3; k++) {
      if (isLabelled) sum[k]! += index[k]!
      if (inside >= 0) expected[k]! += index[k]!
    }
    if (isLabelled) count++
    if (inside >= 0) numExpected++
  }
  assert.ok(count > 100, `${count} voxels`)
  const parted = sum.map((value, k) => Math.abs(value / count - expected[k]! / numExpected))
  return { surface_mm: surface, centroid_voxels: Math.max(...parted) }
}

function indices([numZ, numY, numX]: Triple): Triple[] {
  const all: Triple[] = []
  for (let z = 0; z < numZ; z++)
    for (let y = 0; y < numY; y++) for (let x = 0; x < numX; x++) all.push([z, y, x])
  return all
}
