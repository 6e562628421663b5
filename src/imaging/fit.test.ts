import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fit } from './fit.ts'
import { pad } from './pad.ts'
import { randomSource } from './testing/samples.ts'

test('squash takes the target as it is', () => {
  assert.deepEqual(fit([300, 500], [96, 64], 'squash'), { height: 96, width: 64, top: 0, left: 0 })
})

test('pad keeps the aspect ratio inside the target and shares the space, an odd pixel at the bottom or right', () => {
  assert.deepEqual(fit([100, 200], [64, 64], 'pad'), { height: 32, width: 64, top: 16, left: 0 })
  assert.deepEqual(fit([200, 100], [64, 63], 'pad'), { height: 64, width: 32, top: 0, left: 15 })
  assert.deepEqual(fit([30, 200], [20, 100], 'pad'), { height: 15, width: 100, top: 2, left: 0 })
})

test('pad rounds the other side to the nearest pixel, halves up, and never to nothing', () => {
  assert.equal(fit([5, 40], [20, 20], 'pad').height, 3, '2.5')
  assert.equal(fit([49, 400], [20, 20], 'pad').height, 2, '2.45')
  assert.deepEqual(fit([1, 20000], [24, 31], 'pad'), { height: 1, width: 31, top: 11, left: 0 })
})

test('crop covers the target and cuts the excess evenly, as torchvision does for square targets', () => {
  assert.deepEqual(fit([100, 200], [64, 64], 'crop'), { height: 64, width: 128, top: 0, left: -32 })
  // Resize(64) of 100×203: int(64 * 203 / 100) = 129; CenterCrop: round(32.5) = 32, halves to even.
  assert.deepEqual(fit([100, 203], [64, 64], 'crop'), { height: 64, width: 129, top: 0, left: -32 })
  // 131 wide: round(33.5) = 34.
  assert.deepEqual(fit([100, 206], [64, 64], 'crop'), { height: 64, width: 131, top: 0, left: -34 })
})

test('an image of the target shape is neither padded nor cut, however large', () => {
  for (const kind of ['squash', 'pad', 'crop'] as const)
    assert.deepEqual(fit([192, 128], [96, 64], kind), { height: 96, width: 64, top: 0, left: 0 })
})

test('for any sizes, padding lies within the target, a crop covers it, and both stay centred', () => {
  const next = randomSource(7)
  const side = () => 1 + (next() % 900)
  for (let i = 0; i < 2000; i++) {
    const [source, target] = [[side(), side()] as const, [side(), side()] as const]
    const padded = fit(source, target, 'pad')
    assert.ok(
      padded.height >= 1 && padded.height <= target[0] && padded.width >= 1 && padded.width <= target[1],
    )
    assert.ok(padded.height === target[0] || padded.width === target[1])
    assert.ok(Math.abs(target[0] - padded.height - 2 * padded.top) <= 1 && padded.top >= 0)
    const cropped = fit(source, target, 'crop')
    assert.ok(cropped.height >= target[0] && cropped.width >= target[1])
    assert.ok(cropped.height === target[0] || cropped.width === target[1])
    assert.ok(Math.abs(cropped.height - target[0] + 2 * cropped.top) <= 1 && cropped.top <= 0)
    assert.ok(Math.abs(cropped.width - target[1] + 2 * cropped.left) <= 1 && cropped.left <= 0)
  }
})

test('padding fills with n/255 of the stored range', () => {
  const small = { channels: 1 as const, height: 1, width: 2 }
  const bytes = pad({ ...small, data: Uint8Array.of(7, 8) }, [3, 4], { top: 1, left: 1 }, 255)
  assert.deepEqual([...bytes.data], [255, 255, 255, 255, 255, 7, 8, 255, 255, 255, 255, 255])
  const words = pad({ ...small, data: Uint16Array.of(7, 8) }, [1, 4], { top: 0, left: 1 }, 2)
  assert.deepEqual([...words.data], [514, 7, 8, 514])
})
