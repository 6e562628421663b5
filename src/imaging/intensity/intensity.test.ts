import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Intensity } from '../../schema/preprocess.ts'
import { ImageError } from '../image_error.ts'
import { askPython } from '../testing/monai.ts'
import { skipWithoutPillow } from '../testing/pillow.ts'
import { randomSource } from '../testing/samples.ts'
import { countNonFinite, refuseNonFinite } from './non_finite.ts'
import { normalizeChannel } from './normalize_channel.ts'
import { percentilesOf } from './percentiles.ts'

/** A third zeros, the rest of both signs, with a long tail. */
function channel(length: number, seed = 3): Float32Array {
  const next = randomSource(seed)
  return Float32Array.from({ length }, () => {
    const draw = next() / 2 ** 32
    return draw < 1 / 3 ? 0 : draw < 0.34 ? 9000 * draw : 400 * (draw - 0.5)
  })
}

const KINDS: Intensity[] = [
  { kind: 'none' },
  { kind: 'zscore' },
  { kind: 'nonzero_zscore' },
  { kind: 'percentile', low: 0.5, high: 99.5 },
  { kind: 'window', low: -50, high: 120 },
]

const NUMPY = `
import numpy as np
x = np.fromfile('in.bin', dtype=np.float32)
low, high = np.percentile(x.astype(np.float64), [0.5, 99.5])
clipped = np.clip(x, low, high)
def zscore(values, of=None):
    of = np.asarray(values if of is None else of, dtype=np.float64)
    return (values - of.mean()) / of.std()
out = [
    x,
    zscore(x),
    np.where(x != 0, zscore(x, x[x != 0]), 0),
    zscore(clipped),
    np.clip((x - -50) / (120 - -50), 0, 1),
]
np.stack([np.asarray(o, dtype=np.float32) for o in out]).tofile('out.bin')
np.percentile(x.astype(np.float64), [0, 0.5, 25, 50, 99.5, 100]).tofile('percentiles.bin')
`

test("each kind gives NumPy's values", { skip: skipWithoutPillow }, async () => {
  const given = channel(100_003)
  const [out, percentiles] = await askPython(NUMPY, { 'in.bin': given }, ['out.bin', 'percentiles.bin'])
  const expected = new Float32Array(Uint8Array.from(out!).buffer)
  for (const [k, intensity] of KINDS.entries()) {
    const found = given.slice()
    normalizeChannel(found, intensity)
    for (let i = 0; i < found.length; i++)
      assert.ok(Math.abs(found[i]! - expected[k * found.length + i]!) < 2e-5, `${intensity.kind} at ${i}`)
  }
  assert.deepEqual(
    percentilesOf(given, [0, 0.5, 25, 50, 99.5, 100]).map((value) => value.toPrecision(14)),
    Array.from(new Float64Array(Uint8Array.from(percentiles!).buffer), (value) => value.toPrecision(14)),
  )
})

test('percentiles by counting are those by sorting, of any values', () => {
  const next = randomSource(5)
  for (const length of [1, 2, 3, 10, 1000]) {
    const values = Float32Array.from({ length }, () => (next() / 2 ** 31 - 1) * 10 ** ((next() % 60) - 30))
    const sorted = values.slice().sort()
    for (const percent of [0, 3.7, 50, 99.9, 100]) {
      const position = ((length - 1) * percent) / 100
      const low = sorted[Math.floor(position)]!
      const high = sorted[Math.ceil(position)]!
      const [found] = percentilesOf(values, [percent])
      assert.equal(found, low + (high - low) * (position - Math.floor(position)))
    }
  }
})

test('zeros stay zero, and take no part in the mean', () => {
  const values = Float32Array.of(0, 2, 0, 4, 6, 0)
  normalizeChannel(values, { kind: 'nonzero_zscore' })
  const std = Math.sqrt(8 / 3)
  assert.deepEqual(values, Float32Array.of(0, -2 / std, 0, 0, 2 / std, 0))
})

test('of a constant channel only the mean is subtracted, exactly; one of zeros stays as it is', () => {
  for (const kind of ['zscore', 'nonzero_zscore'] as const)
    for (const value of [0.1, -7.3e5, 0]) {
      const values = new Float32Array(100_001).fill(value)
      normalizeChannel(values, { kind })
      assert.ok(values.every((found) => found === 0))
    }
})

test('NaN and infinity are counted and refused, with what to do', () => {
  const data = Float32Array.of(0, Number.NaN, 3, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1)
  const volume = { channels: 1, shape: [1, 2, 3] as const, affine: [] }
  assert.equal(countNonFinite(data), 3)
  assert.equal(countNonFinite(Int16Array.of(1, 2)), 0)
  assert.throws(
    () => refuseNonFinite({ data, ...volume }),
    (error) => error instanceof ImageError && /^3 of 6 voxels are NaN or infinite/.test(error.message),
  )
  refuseNonFinite({ data: Float64Array.of(1, 2, 3, 4, 5, 6), ...volume })
})
