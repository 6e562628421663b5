import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Overlay, overlay, PREDICTION_COLOUR, REFERENCE_COLOUR, type Slice } from './overlay.ts'

const mask = (isInside: (y: number, x: number) => boolean) =>
  Array.from({ length: 6 * 8 }, (_, i) => (isInside(Math.floor(i / 8), i % 8) ? 1 : 0))
const left = mask((y, x) => y >= 1 && y < 5 && x >= 1 && x < 4)
const none = mask(() => false)
const slice = (changes: Partial<Slice> = {}): Slice => ({
  height: 6,
  width: 8,
  spacing_mm: [2, 1],
  reference: left,
  prediction: none,
  image: null,
  ...changes,
})
const pixel = ({ data, width }: Overlay, y: number, x: number) => [
  ...data.subarray(3 * (y * width + x), 3 * (y * width + x) + 3),
]
const numOf = ({ data }: Overlay, colour: readonly number[]) =>
  Array.from({ length: data.length / 3 }, (_, i) => i).filter((i) =>
    colour.every((value, k) => data[3 * i + k] === value),
  ).length

test('pixels are square: a slice of 6 × 2 mm by 8 × 1 mm is drawn higher than wide', () => {
  const { height, width } = overlay(slice(), 120)
  assert.deepEqual([height, width], [120, 80])
})

test('the reference has its outline along its inner edge, the prediction its own, thinner and above', () => {
  const only = overlay(slice(), 120)
  // Voxels 1 to 4 down and 1 to 3 across are pixels 20 to 99 and 10 to 39.
  for (const [y, x] of [
    [20, 10],
    [99, 39],
    [60, 12],
  ] as const)
    assert.deepEqual(pixel(only, y, x), [...REFERENCE_COLOUR])
  for (const [y, x] of [
    [19, 10],
    [60, 40],
    [60, 25],
  ] as const)
    assert.notDeepEqual(pixel(only, y, x), [...REFERENCE_COLOUR])
  assert.equal(numOf(only, PREDICTION_COLOUR), 0)
  const both = overlay(slice({ prediction: left }), 120)
  assert.deepEqual(pixel(both, 20, 10), [...PREDICTION_COLOUR])
  assert.ok(numOf(both, REFERENCE_COLOUR) > 0)
})

test('two labels that touch have one line between them, on the side of the higher value', () => {
  const two = left.map((value, i) => (value && i % 8 === 3 ? 2 : value))
  const drawn = overlay(slice({ reference: two }), 120)
  assert.deepEqual(pixel(drawn, 60, 30), [...REFERENCE_COLOUR])
  assert.notDeepEqual(pixel(drawn, 60, 29), [...REFERENCE_COLOUR])
})

test('the image is stretched from its darkest to its brightest pixel; one grey or NaN draws none', () => {
  const ramp = Array.from({ length: 48 }, (_, i) => -1000 + 100 * (i % 8))
  const drawn = overlay(slice({ reference: none, image: ramp }), 120)
  assert.deepEqual(pixel(drawn, 60, 0), [0, 0, 0])
  assert.deepEqual(pixel(drawn, 60, 79), [255, 255, 255])
  const grey = pixel(drawn, 60, 40)
  assert.ok(grey[0]! > 120 && grey[0]! < 160 && grey[0] === grey[2])
  for (const image of [ramp.fill(7), ramp.fill(Number.NaN)])
    assert.equal(new Set(overlay(slice({ reference: none, image }), 120).data).size, 1)
})
