import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keepLargestComponent } from '../imaging/geometry/components.ts'
import { askPython, skipWithoutMonai } from '../imaging/testing/monai.ts'
import type { Affine, Triple } from '../imaging/volume.ts'
import { labelVolume, toProbabilities } from './label_volume.ts'

const AFFINE: Affine = [0, 0, 1.5, -9, 0, 0.8, 0, 4, 2.5, 0, 0, 7, 0, 0, 0, 1]
const STRUCTURES = [
  { name: 'cyst', values: [3] },
  { name: 'kidney', values: [1] },
]

/** Volume of K outputs, each [z, y, x] of 2 × 1 × 3. */
const outputs = (...rows: number[][]) => ({
  data: Float32Array.from(rows.flat()),
  channels: rows.length,
  shape: [2, 1, 3] as Triple,
  affine: AFFINE,
})
const GRID = { shape: [2, 1, 3] as Triple, affine: AFFINE }

test('structures that exclude each other take the most probable, background included, in their own values', () => {
  const probabilities = outputs(
    [0.8, 0.1, 0.3, 0.4, 0.34, 0.0],
    [0.1, 0.8, 0.3, 0.3, 0.33, 0.4],
    [0.1, 0.1, 0.4, 0.3, 0.33, 0.6],
  )
  const mask = labelVolume(probabilities, GRID, { structures: STRUCTURES, exclusive: true }, [])
  assert.deepEqual([...mask.data], [0, 3, 1, 0, 0, 1])
  assert.ok(mask.data instanceof Uint8Array)
  assert.deepEqual(mask.affine, AFFINE)
})

test('regions are painted in their order where their probability is a half or more', () => {
  const regions = [
    { name: 'WT', values: [2, 1, 4] },
    { name: 'TC', values: [1, 4] },
    { name: 'ET', values: [4] },
  ]
  const probabilities = outputs(
    [0.49, 0.5, 0.9, 0.9, 0.1, 0.2],
    [0.1, 0.2, 0.5, 0.9, 0.1, 0.9],
    [0.1, 0.1, 0.1, 0.8, 0.9, 0.1],
  )
  const mask = labelVolume(probabilities, GRID, { structures: regions, exclusive: false }, [])
  assert.deepEqual([...mask.data], [0, 2, 1, 4, 4, 1])
})

test('only the largest piece is kept of the structures named, of others all', () => {
  const shape: Triple = [1, 1, 9]
  const row = (values: number[]) => values.map((value) => (value === 1 ? 0.9 : 0))
  const kidney = row([1, 1, 0, 1, 0, 0, 0, 0, 0])
  const cyst = row([0, 0, 0, 0, 0, 1, 0, 1, 1])
  const background = kidney.map((_, i) => (kidney[i]! + cyst[i]! > 0 ? 0.1 : 1))
  const volume = {
    data: Float32Array.from([...background, ...cyst, ...kidney]),
    channels: 3,
    shape,
    affine: AFFINE,
  }
  const model = { structures: STRUCTURES, exclusive: true }
  const of = (largest: string[]) => [...labelVolume(volume, { shape, affine: AFFINE }, model, largest).data]
  assert.deepEqual(of([]), [1, 1, 0, 1, 0, 3, 0, 3, 3])
  assert.deepEqual(of(['cyst']), [1, 1, 0, 1, 0, 0, 0, 3, 3])
  assert.deepEqual(of(['cyst', 'kidney']), [1, 1, 0, 0, 0, 0, 0, 3, 3])
})

test('logits become a softmax over all outputs, or a sigmoid each, large ones too', () => {
  const softmax = toProbabilities(Float32Array.of(0, 1000, 1, -1000, 2, 999), {
    structures: STRUCTURES,
    exclusive: true,
  })
  const sums = [0, 1].map((i) => softmax[i]! + softmax[2 + i]! + softmax[4 + i]!)
  for (const sum of sums) assert.ok(Math.abs(sum - 1) < 1e-6)
  assert.ok(Math.abs(softmax[4]! - Math.exp(2) / (1 + Math.E + Math.exp(2))) < 1e-6)
  assert.ok(Math.abs(softmax[1]! - 1 / (1 + Math.exp(-1))) < 1e-6)
  assert.equal(softmax[3], 0)
  const sigmoid = toProbabilities(Float32Array.of(0, -1000, 1000, 2), {
    structures: STRUCTURES,
    exclusive: false,
  })
  assert.deepEqual([...sigmoid.subarray(0, 3)], [0.5, 0, 1])
  assert.ok(Math.abs(sigmoid[3]! - 1 / (1 + Math.exp(-2))) < 1e-6)
})

const SCIPY = `
import json
import numpy as np
from scipy import ndimage
out = []
for n, shape in enumerate(json.load(open("shapes.json"))):
    mask = np.fromfile(f"m{n}.u8", np.uint8).reshape(shape)
    of = np.isin(mask, [2, 5])
    pieces, count = ndimage.label(of, np.ones((3, 3, 3)))
    sizes = np.bincount(pieces.ravel(), minlength=2)[1:]
    mask[of & (pieces != 1 + np.argmax(sizes))] = 0
    mask.tofile(f"k{n}.u8")
`

test("the largest piece is scipy's with 26 neighbours, of equals the first", {
  skip: skipWithoutMonai,
}, async () => {
  const shapes: Triple[] = [
    [5, 7, 9],
    [1, 12, 11],
    [9, 1, 4],
    [6, 5, 4],
    [3, 3, 30],
  ]
  let state = 7
  const random = () => {
    state = (state * 48271) % 2147483647
    return state / 2147483647
  }
  // From crumbs, where many pieces are equally large, to nearly one piece.
  const masks = shapes.flatMap((shape) =>
    [0.03, 0.1, 0.2, 0.5].map((density) => ({
      shape,
      data: Uint8Array.from({ length: shape[0] * shape[1] * shape[2] }, () =>
        random() < density ? (random() < 0.5 ? 2 : 5) : random() < 0.3 ? 1 : 0,
      ),
    })),
  )
  const answers = await askPython(
    SCIPY,
    {
      'shapes.json': JSON.stringify(masks.map(({ shape }) => shape)),
      ...Object.fromEntries(masks.map(({ data }, n) => [`m${n}.u8`, data])),
    },
    masks.map((_, n) => `k${n}.u8`),
  )
  for (const [n, { shape, data }] of masks.entries()) {
    keepLargestComponent(data, shape, [2, 5])
    assert.deepEqual([...data], [...answers[n]!], `${n}: ${shape}`)
  }
})
