import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sharedStructures } from './shared_structures.ts'

const bytes = (...values: number[]) => Uint8Array.from(values)

test('structures are matched by name, whatever their order and values', () => {
  const shared = sharedStructures(
    [
      { name: 'liver', values: [1] },
      { name: 'tumour', values: [2] },
      { name: 'vessel', values: [3] },
    ],
    [
      { name: 'tumour', values: [7] },
      { name: 'liver', values: [2] },
    ],
  )
  assert.deepEqual(shared.labels, { tumour: [7], liver: [2] })
  assert.deepEqual([...shared.ofPackage(bytes(0, 1, 2, 3))], [0, 2, 7, 0])
  assert.deepEqual([...shared.ofData(bytes(0, 2, 7, 1, 255))], [0, 2, 7, 0, 0])
  assert.deepEqual(shared.unmeasured, ['vessel'])
})

test('regions that overlap are matched by what a voxel belongs to', () => {
  const shared = sharedStructures(
    [
      { name: 'WT', values: [2, 1, 3] },
      { name: 'TC', values: [1, 3] },
      { name: 'ET', values: [3] },
    ],
    [
      { name: 'WT', values: [1, 2, 4] },
      { name: 'TC', values: [1, 4] },
      { name: 'ET', values: [4] },
    ],
  )
  assert.deepEqual(shared.labels, { WT: [1, 2, 4], TC: [1, 4], ET: [4] })
  assert.deepEqual([...shared.ofPackage(bytes(0, 1, 2, 3))], [0, 1, 2, 4])
  assert.deepEqual([...shared.ofData(bytes(0, 1, 2, 4, 3))], [0, 1, 2, 4, 0])
})

test('what only one side can say has a value of its own', () => {
  const shared = sharedStructures(
    [
      { name: 'WT', values: [1, 2] },
      { name: 'TC', values: [2] },
    ],
    [
      { name: 'WT', values: [1] },
      { name: 'TC', values: [2] },
    ],
  )
  const [both] = shared.ofPackage(bytes(2))
  assert.ok(![0, 1, 2].includes(both!))
  assert.deepEqual(shared.labels, { WT: [1, both], TC: [2, both] })
})

test('values that are no labels are background', () => {
  const shared = sharedStructures([{ name: 'a', values: [1] }], [{ name: 'a', values: [1] }])
  assert.deepEqual([...shared.ofData(Float32Array.of(1, 0.5, -1, 300))], [1, 0, 0, 0])
})

test('a structure that the package does not find is refused with both lists', () => {
  assert.throws(
    () => sharedStructures([{ name: 'liver', values: [1] }], [{ name: 'Leber', values: [1] }]),
    /does not find Leber\.\n {2}package: liver\n {2}recipe: {2}Leber\n {2}do: /,
  )
})
