import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomSource } from '../imaging/testing/samples.ts'
import type { Triple } from '../imaging/volume.ts'
import { fewestDiffering, summarizeMask } from './mask_summary.ts'

const shape: Triple = [5, 7, 9]
const STRUCTURES = [
  { name: 'whole', values: [1, 3] },
  { name: 'core', values: [3] },
  { name: 'gone', values: [4] },
]
/** Voxels by value, at [z, y, x]. */
function mask(...voxels: [value: number, z: number, y: number, x: number][]) {
  const data = new Uint8Array(5 * 7 * 9)
  for (const [value, z, y, x] of voxels) data[(z * 7 + y) * 9 + x] = value
  return { data, shape }
}

test('a summary counts the voxels of all values of a structure, and says their box and centroid', () => {
  const found = summarizeMask(mask([1, 0, 6, 2], [3, 4, 5, 8], [3, 2, 5, 8], [2, 1, 1, 1]), STRUCTURES)
  assert.deepEqual(found, {
    whole: { voxels: 3, place: { first: [0, 5, 2], last: [4, 6, 8], centroid: [2, 16 / 3, 6] } },
    core: { voxels: 2, place: { first: [2, 5, 8], last: [4, 5, 8], centroid: [3, 5, 8] } },
    gone: { voxels: 0, place: null },
  })
})

test('two masks never differ in fewer voxels than their summaries say, and equal ones in none', () => {
  const random = randomSource(3)
  const next = () => random() / 2 ** 32
  const one = [{ name: 'one', values: [1] }]
  for (let round = 0; round < 500; round++) {
    const density = next()
    const a = mask()
    for (let i = 0; i < a.data.length; i++) a.data[i] = next() < density ? 1 : 0
    const b = { data: a.data.slice(), shape }
    for (let n = Math.floor(next() * 12); n > 0; n--) b.data[Math.floor(next() * b.data.length)]! ^= 1
    const differing = a.data.filter((value, i) => value !== b.data[i]).length
    const [p, q] = [summarizeMask(a, one).one!, summarizeMask(b, one).one!]
    assert.ok(fewestDiffering(p, q) <= differing + 1e-9, `${fewestDiffering(p, q)} of ${differing}`)
    assert.equal(fewestDiffering(p, q), fewestDiffering(q, p))
    assert.equal(fewestDiffering(p, p), 0)
  }
})

test('a mask that is moved, mirrored or missing has a summary that many voxels tell apart', () => {
  const box = (z: number, y: number, x: number) =>
    summarizeMask(
      mask(
        ...[0, 1].flatMap((k) =>
          [0, 1, 2].map((i): [number, number, number, number] => [3, z + k, y, x + i]),
        ),
      ),
      STRUCTURES,
    ).core!
  assert.ok(fewestDiffering(box(0, 2, 1), box(1, 2, 1)) >= 6, 'a slice further')
  assert.ok(fewestDiffering(box(0, 2, 1), box(0, 3, 1)) >= 12, 'wholly apart')
  assert.ok(fewestDiffering(box(0, 2, 0), box(0, 2, 6)) > 8, 'mirrored')
  assert.equal(fewestDiffering(box(0, 2, 1), { voxels: 0, place: null }), 6)
})
