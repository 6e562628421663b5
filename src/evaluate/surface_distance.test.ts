import assert from 'node:assert/strict'
import { test } from 'node:test'
import { maskCodes } from './mask_codes.ts'
import { ellipsoid, scattered } from './masks_fixture.ts'
import type { MaskPair } from './measure_masks.ts'
import { nearestCell } from './nearest_cell.ts'
import { seededNumbers } from './predictions_fixture.ts'
import {
  hausdorffDistance,
  type SurfaceDistances,
  surfaceDice,
  surfaceDistances,
} from './surface_distance.ts'
import { contourLengths, surfelAreas } from './surfel_area.ts'

type Triple = readonly [number, number, number]

/** Of the voxels of value 1. */
function distancesOf({ reference, prediction, shape, spacing_mm }: MaskPair): SurfaceDistances {
  const masks = { ...maskCodes(reference, prediction, shape), spacing_mm }
  const isMember = Uint8Array.from({ length: 256 }, (_, code) => (masks.values[code - 1] === 1 ? 1 : 0))
  const areas = shape[0] === 1 ? contourLengths([spacing_mm[1], spacing_mm[2]]) : surfelAreas(spacing_mm)
  const box = masks.boxes[masks.values.indexOf(1)]!
  return surfaceDistances(masks, isMember, box, areas)
}

test('a cube has the area of its faces, less what marching cubes takes off edges and corners', () => {
  const shape = [3, 3, 3] as const
  const one = ellipsoid(shape, [1, 1, 1], [1, 1, 1], 0)
  const { reference } = distancesOf({ reference: one, prediction: one, shape, spacing_mm: [1, 1, 1] })
  const area = reference.codes.reduce((sum, code) => sum + reference.areas[code]!, 0)
  // One voxel alone becomes an octahedron whose corners are the middles of its faces: 8 · √3/8.
  assert.ok(Math.abs(area - Math.sqrt(3)) < 1e-12)
})

test('turning a cell over or swapping inside with outside does not change its area, but for the spacing', () => {
  const areas = surfelAreas([3, 0.7, 1.1])
  const swapped = surfelAreas([1.1, 0.7, 3])
  for (let code = 0; code < 256; code++) {
    assert.equal(areas[code], areas[255 - code])
    // Swapping z with x swaps bits 1 with 3 (x 1 and z 1, of the corners' numbers 001 and 100 …).
    let turned = 0
    for (let corner = 0; corner < 8; corner++)
      if (code & (1 << corner)) turned |= 1 << (((corner & 1) << 2) | (corner & 2) | (corner >> 2))
    assert.ok(Math.abs(areas[code]! - swapped[turned]!) < 1e-12)
    if (code !== 0 && code !== 255) assert.ok(areas[code]! > 0)
  }
})

test('distances to the nearest cell are those of comparing all pairs', () => {
  for (let seed = 0; seed < 40; seed++) {
    const random = seededNumbers(seed)
    const grid = [1 + (seed % 6), 3 + (seed % 5), 4 + (seed % 7)] as const
    const spacing_mm = [0.3 + 4 * random(), 0.3 + random(), 0.3 + 2 * random()] as const
    const pick = (share: number) =>
      Int32Array.from(
        Array.from({ length: grid[0] * grid[1] * grid[2] }, (_, i) => i).filter(() => random() < share),
      )
    const [from, to] = [pick(0.4), pick(seed % 3 === 0 ? 0.02 : 0.3)]
    const place = (cell: number): Triple => [
      Math.floor(cell / (grid[1] * grid[2])) * spacing_mm[0],
      (Math.floor(cell / grid[2]) % grid[1]) * spacing_mm[1],
      (cell % grid[2]) * spacing_mm[2],
    ]
    const expected = Array.from(from, (cell) => {
      const a = place(cell)
      return Math.min(
        Number.POSITIVE_INFINITY,
        ...Array.from(to, (other) => Math.hypot(...place(other).map((mm, axis) => mm - a[axis]!))),
      )
    })
    const found = nearestCell(from, to, grid, spacing_mm)
    for (const [i, mm] of expected.entries())
      assert.ok(mm === found[i] || Math.abs(mm - found[i]!) < 1e-9, `seed ${seed}: ${mm}, ${found[i]}`)
  }
})

// What surface-distance 0.1 gives for these masks: compute_robust_hausdorff at 95, 50 and 100 %, and
// compute_surface_dice_at_tolerance at 1 and 2.5 mm. One slice goes in as a 2D array.
const volume = [9, 14, 11] as const
const slice = [1, 14, 11] as const
const DEEPMIND: (MaskPair & { name: string; expected: number[] })[] = [
  {
    name: 'two ellipsoids',
    reference: ellipsoid(volume, [4, 6, 5], [4, 1, 2], 20),
    prediction: ellipsoid(volume, [5, 7, 5], [5, 1, 2], 22),
    shape: volume,
    spacing_mm: [3, 0.7, 1.1],
    expected: [3.0, 0.0, 3.3105890714493698, 0.7410527318195548, 0.941736732506365],
  },
  {
    name: 'scattered voxels',
    reference: scattered(volume, 1),
    prediction: scattered(volume, 4),
    shape: volume,
    spacing_mm: [3, 0.7, 1.1],
    expected: [0.0, 0.0, 1.3038404810405297, 0.9998359616063369, 1.0],
  },
  {
    name: 'structures that the image cuts off',
    reference: ellipsoid(volume, [0, 0, 5], [2, 1, 1], 30),
    prediction: ellipsoid(volume, [1, 2, 10], [2, 1, 1], 35),
    shape: volume,
    spacing_mm: [0.5, 1.25, 2],
    expected: [8.0, 0.5, 10.0, 0.6289633798722764, 0.7913174092367619],
  },
  {
    name: 'structures far apart',
    reference: ellipsoid(volume, [1, 1, 1], [1, 1, 1], 1),
    prediction: ellipsoid(volume, [7, 12, 9], [1, 1, 1], 2),
    shape: volume,
    spacing_mm: [1, 2, 0.4],
    expected: [22.974768769239006, 19.64586470481765, 23.307509519466038, 0.0, 0.0],
  },
  {
    name: 'one slice',
    reference: ellipsoid(slice, [0, 6, 5], [1, 1, 2], 20),
    prediction: scattered(slice, 3),
    shape: slice,
    spacing_mm: [5, 0.7, 1.1],
    expected: [
      3.0413812651491097, 1.3038404810405297, 3.9115214431215892, 0.48602688174760816, 0.8923183644456174,
    ],
  },
]

for (const { name, expected, ...pair } of DEEPMIND)
  test(`${name}: HD95 and surface Dice are those of DeepMind's surface-distance to 1e-9`, () => {
    const distances = distancesOf(pair)
    const found = [
      ...[0.95, 0.5, 1].map((share) => hausdorffDistance(distances, share)),
      ...[1, 2.5].map((mm) => surfaceDice(distances, mm)),
    ]
    for (const [i, value] of expected.entries())
      assert.ok(Math.abs(value - found[i]!) < 1e-9, `${found} is not ${expected}`)
  })
