import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ellipsoid, madeMask, padded, randomPair } from './masks_fixture.ts'
import { ABSENT, type MaskPair, measureMasks } from './measure_masks.ts'

const LABELS = { one: [1], two: [2], both: [1, 2] }
const shape = [4, 5, 7] as const
const spacing_mm = [3, 0.7, 1.1] as const
const diagonal = Math.hypot(4 * 3, 5 * 0.7, 7 * 1.1)
const empty = new Uint8Array(4 * 5 * 7)
const box = madeMask(shape, (z, y, x) => z >= 1 && z <= 2 && y < 3 && x < 2)

const measured = (pair: Partial<MaskPair>, labels: Record<string, number[]> | null = { box: [1] }) =>
  measureMasks({ reference: box, prediction: box, shape, spacing_mm, ...pair }, labels, 1)

test('a mask against itself agrees fully', () => {
  const { reference_ml, prediction_ml, ...rest } = measured({}).per_label.box!
  assert.ok(Math.abs(reference_ml - (12 * 3 * 0.7 * 1.1) / 1000) < 1e-12)
  assert.equal(prediction_ml, reference_ml)
  assert.deepEqual(rest, {
    outcome: 'found',
    dice: 1,
    surface_dice: 1,
    hd95_mm: 0,
    volume_error_ml: 0,
    volume_error_relative: 0,
  })
})

test('a box moved by one voxel: Dice by counting, HD95 is the step, volumes are equal', () => {
  const moved = madeMask(shape, (z, y, x) => z >= 1 && z <= 2 && y < 3 && x >= 1 && x < 3)
  const { dice, hd95_mm, surface_dice, volume_error_ml } = measured({ prediction: moved }).per_label.box!
  assert.equal(dice, 0.5)
  assert.ok(Math.abs(hd95_mm! - 1.1) < 1e-12)
  assert.equal(volume_error_ml, 0)
  assert.ok(surface_dice! > 0.4 && surface_dice! < 1)
  assert.equal(
    measureMasks({ reference: box, prediction: moved, shape, spacing_mm }, { box: [1] }, 1.1).per_label.box!
      .surface_dice,
    1,
  )
})

test('volume errors are signed, in ml and of the reference', () => {
  const more = madeMask(shape, (z, y, x) => z >= 1 && z <= 2 && y < 3 && x < 3)
  const { volume_error_ml, volume_error_relative } = measured({ prediction: more }).per_label.box!
  assert.ok(Math.abs(volume_error_ml! - (6 * 3 * 0.7 * 1.1) / 1000) < 1e-12)
  assert.equal(volume_error_relative, 0.5)
})

test('a missed structure has the worst of each metric', () => {
  const { dice, surface_dice, hd95_mm, outcome, volume_error_relative } = measured({ prediction: empty })
    .per_label.box!
  assert.deepEqual([outcome, dice, surface_dice, volume_error_relative], ['missed', 0, 0, -1])
  assert.equal(hd95_mm, diagonal)
})

test('a structure that is not there has the worst of each metric; its relative error does not exist', () => {
  const { dice, surface_dice, hd95_mm, outcome, volume_error_relative } = measured({ reference: empty })
    .per_label.box!
  assert.deepEqual([outcome, dice, surface_dice, volume_error_relative], ['falsely_present', 0, 0, null])
  assert.equal(hd95_mm, diagonal)
})

test('a structure in neither mask is correctly absent: there is nothing to measure', () => {
  assert.deepEqual(measured({ reference: empty, prediction: empty }).per_label.box, ABSENT)
})

test('leaving out a structure never improves a metric of its case', () => {
  for (let seed = 0; seed < 200; seed++) {
    const pair = randomPair(seed)
    const tried = measureMasks(pair, LABELS, 1).per_label
    const without = measureMasks(
      { ...pair, prediction: new Uint8Array(pair.reference.length) },
      LABELS,
      1,
    ).per_label
    for (const name of Object.keys(LABELS)) {
      const [a, b] = [tried[name]!, without[name]!]
      if (b.outcome === 'correctly_absent') continue
      assert.ok(
        b.dice! <= a.dice! && b.surface_dice! <= a.surface_dice! && b.hd95_mm! >= a.hd95_mm!,
        `seed ${seed}`,
      )
    }
  }
})

test('background around the image changes no metric, but what stands for a distance that does not exist', () => {
  for (let seed = 0; seed < 100; seed++) {
    const pair = randomPair(seed)
    const [plain, wider] = [pair, padded(pair, 3)].map((p) => measureMasks(p, LABELS, 1).per_label)
    for (const name of Object.keys(LABELS)) {
      const [a, b] = [plain![name]!, wider![name]!]
      if (a.outcome === 'found') assert.deepEqual(a, b)
      else assert.deepEqual({ ...a, hd95_mm: null }, { ...b, hd95_mm: null })
    }
  }
})

test('turning the image over or swapping its axes changes no metric', () => {
  for (let seed = 0; seed < 60; seed++) {
    const pair = randomPair(seed)
    const [Z, Y, X] = pair.shape
    const reversed = {
      ...pair,
      reference: pair.reference.toReversed(),
      prediction: pair.prediction.toReversed(),
    }
    const swap = (mask: Uint8Array) =>
      Uint8Array.from({ length: mask.length }, (_, i) => {
        const [x, y, z] = [Math.floor(i / (Y * Z)), Math.floor(i / Z) % Y, i % Z]
        return mask[(z * Y + y) * X + x]!
      })
    const swapped: MaskPair = {
      reference: swap(pair.reference),
      prediction: swap(pair.prediction),
      shape: [X, Y, Z],
      spacing_mm: [pair.spacing_mm[2], pair.spacing_mm[1], pair.spacing_mm[0]],
    }
    const plain = measureMasks(pair, LABELS, 1).per_label
    for (const turned of [reversed, swapped])
      for (const [name, metrics] of Object.entries(measureMasks(turned, LABELS, 1).per_label))
        for (const [key, value] of Object.entries(metrics)) {
          const was = plain[name]![key as keyof typeof metrics]
          const isSame = typeof value === 'number' ? Math.abs(value - (was as number)) < 1e-9 : value === was
          assert.ok(isSame, `seed ${seed}, ${name} ${key}: ${was} became ${value}`)
        }
  }
})

test('a region of several values is measured as one structure, whatever value its voxels have', () => {
  const pair = randomPair(5)
  const merged = (mask: Uint8Array) => mask.map((value) => (value === 0 ? 0 : 1))
  const one = { ...pair, reference: merged(pair.reference), prediction: merged(pair.prediction) }
  assert.deepEqual(measureMasks(pair, LABELS, 1).per_label.both, measureMasks(one, LABELS, 1).per_label.one)
})

test('one slice is measured alike along whichever axis it lies, by its contour', () => {
  const reference = ellipsoid([1, 14, 11], [0, 6, 5], [1, 1, 2], 20)
  const prediction = ellipsoid([1, 14, 11], [0, 7, 5], [1, 1, 3], 22)
  const [a, b, c] = (
    [
      [
        [1, 14, 11],
        [5, 0.7, 1.1],
      ],
      [
        [14, 1, 11],
        [0.7, 5, 1.1],
      ],
      [
        [14, 11, 1],
        [0.7, 1.1, 5],
      ],
    ] as const
  ).map(([shape, spacing_mm]) => measureMasks({ reference, prediction, shape, spacing_mm }, { one: [1] }, 1))
  assert.ok(a!.per_label.one!.dice! > 0.5 && a!.per_label.one!.surface_dice! < 1)
  assert.deepEqual(b, a)
  assert.deepEqual(c, a)
})

test('without names each value is a label; with them, values of no label are told', () => {
  const reference = box.map((value) => value * 7)
  const prediction = Int16Array.from(box, (value, i) => (i === 0 ? -3 : value * 7))
  const plain = measured({ reference, prediction }, null)
  assert.deepEqual(Object.keys(plain.per_label).sort(), ['-3', '7'])
  assert.equal(plain.per_label['-3']!.outcome, 'falsely_present')
  const named = measured({ reference, prediction }, { liver: [5] })
  assert.deepEqual(named.unlisted, { reference: [7], prediction: [-3, 7] })
})

test('what is no mask is refused', () => {
  const float = Float32Array.from(box, (value) => value * 0.5)
  assert.throws(() => measured({ prediction: float }), /A voxel is 0.5; a mask has whole numbers only/)
  const noise = Float32Array.from(box, () => Number.NaN)
  assert.throws(() => measured({ prediction: noise }), /A voxel is NaN/)
  const image = Int16Array.from({ length: 4 * 5 * 97 }, (_, i) => i)
  assert.throws(
    () => measured({ reference: image, prediction: image, shape: [4, 5, 97] }),
    /this is an image, not a mask of labels/,
  )
  assert.throws(() => measured({ shape: [1, 2, 70_000] }), /1 × 2 × 70000 voxels is too large/)
  assert.throws(() => measured({ prediction: empty.subarray(1) }), /The prediction has 139 voxels/)
  assert.throws(() => measured({ spacing_mm: [3, 0, 1] }), /three positive lengths/)
})
