import assert from 'node:assert/strict'
import { test } from 'node:test'
import { writeNifti } from '../imaging/nifti/write.ts'
import type { StoredVoxels } from '../imaging/store_volume.ts'
import type { Affine } from '../imaging/volume.ts'
import { UserError } from '../schema/errors.ts'
import type { SegmentPackage } from '../schema/segment_package.ts'
import { emptyValues, type PatchNetwork, probabilitiesOf, segmentFiles } from './segment.ts'
import { TINY_VOLUME_SPEC } from './testing/tiny_segmenter.ts'

const NORMALIZATION = { offset: 0, scale: 1, mean: [0], std: [1] }
const MODEL = {
  task: { kind: 'segment', structures: [{ name: 'bright', values: [4] }], exclusive: true },
  preprocess: { ...TINY_VOLUME_SPEC, spacing_mm: null, intensity: [{ kind: 'none' }], dtype: 'float32' },
  input: { name: 'image', patch_size: [3, 4, 5], dtype: 'float32' },
  networks: [{ normalization: NORMALIZATION }],
  overlap: 0.5,
  fingerprint: null,
  inference: { mirror: [], largest_component: [], reasons: [] },
} as unknown as SegmentPackage

/** Bright voxels are those above a threshold. */
const above = (threshold: number): PatchNetwork => ({
  run: async (x: StoredVoxels) =>
    Float32Array.from([...new Float32Array(x.length), ...Array.from(x, (value) => 10 * (value - threshold))]),
})

const AFFINE: Affine = [0, 0, 2, 5, 0, 1.5, 0, -3, 2.5, 0, 0, 1, 0, 0, 0, 1]
const volumeOf = (data: Float32Array) =>
  writeNifti({ data, channels: 1, shape: [4, 5, 6], affine: AFFINE }, { gzip: true })
const blank = () => new Float32Array(120)

test("a mask lies on the file's grid, and its volume is counted in that grid's millilitres", async () => {
  const data = blank().fill(1, 10, 16)
  const { mask, volumes_ml } = await segmentFiles([await volumeOf(data)], MODEL, [above(0.5)])
  assert.deepEqual(mask.shape, [4, 5, 6])
  assert.deepEqual(
    [...mask.data],
    [...data].map((value) => 4 * value),
  )
  assert.ok(Math.abs(volumes_ml.bright! - (6 * 2 * 1.5 * 2.5) / 1000) < 1e-9)
})

test('several networks are averaged as probabilities', async () => {
  const stored = { data: Float32Array.from({ length: 60 }, () => 1), shape: [1, 3, 4, 5] as const }
  const model = { ...MODEL, networks: [MODEL.networks[0]!, MODEL.networks[0]!] }
  const fixed = (logit: number): PatchNetwork => ({
    run: async (x) => Float32Array.from({ length: 2 * x.length }, (_, i) => (i < x.length ? 0 : logit)),
  })
  const found = await probabilitiesOf({ data: stored.data, shape: [1, 3, 4, 5] }, model, [
    fixed(3),
    fixed(-1),
  ])
  const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))
  for (const p of found.subarray(60)) assert.ok(Math.abs(p - (sigmoid(3) + sigmoid(-1)) / 2) < 1e-6)
})

test('a network that gives NaN, or too little, is refused in words', async () => {
  const bytes = await volumeOf(blank())
  const giving = (make: (n: number) => Float32Array): PatchNetwork => ({ run: async (x) => make(x.length) })
  for (const [network, reason] of [
    [giving((n) => new Float32Array(2 * n).fill(Number.NaN)), /gave NaN or infinity/],
    [giving((n) => new Float32Array(2 * n).fill(Number.POSITIVE_INFINITY)), /gave NaN or infinity/],
    [giving((n) => new Float32Array(n)), /gave 60 outputs for 1 windows/],
  ] as const)
    await assert.rejects(segmentFiles([bytes], MODEL, [network]), (cause) => {
      assert.ok(cause instanceof UserError)
      assert.match(cause.message, reason)
      return true
    })
})

test('outside of a volume are the stored values that become 0 in the network, or come nearest', () => {
  const of = (offset: number, scale: number, mean: number[]) => ({
    offset,
    scale,
    mean,
    std: mean.map(() => 0.3),
  })
  assert.deepEqual(emptyValues(of(0, 1, [0.25, -2]), 'float32'), [0.25, -2])
  assert.deepEqual(emptyValues(of(0, 1 / 255, [0.5, 0, 1, 1.2]), 'uint8'), [128, 0, 255, 255])
  assert.deepEqual(emptyValues(of(32768, 1 / 65535, [0, 0.5, 1]), 'int16'), [-32768, -0, 32767])
})
