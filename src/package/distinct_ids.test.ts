import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withDistinctIds } from './distinct_ids.ts'

const idsOf = (cases: Record<string, string> | [name: string, case_id: string][], joint: '/' | '_' = '_') =>
  withDistinctIds(
    (Array.isArray(cases) ? cases : Object.entries(cases)).map(([name, case_id]) => ({ name, case_id })),
    joint,
  ).map(({ case_id }) => case_id)

test('ids that differ stay as they are', () => {
  assert.deepEqual(idsOf({ 'd/a.png': 'a', 'd/b.png': 'b', 'e/c.png': 'c' }), ['a', 'b', 'c'])
})

test('files of one folder that differ in their extension keep it', () => {
  assert.deepEqual(idsOf({ '/d/a.png': 'a', '/d/a.jpg': 'a', '/d/b.jpg': 'b' }), ['a.png', 'a.jpg', 'b'])
  assert.deepEqual(idsOf({ '/r/d/a.png': 'd/a', '/r/d/a.jpg': 'd/a' }, '/'), ['d/a.png', 'd/a.jpg'])
})

test('files of one name get as many of their folders as it takes, and no more', () => {
  assert.deepEqual(idsOf({ 'a/x.nii': 'x', 'b/x.nii': 'x', 'x.nii': 'x' }), ['a_x', 'b_x', 'x'])
  assert.deepEqual(idsOf({ 'x/p/1.png': '1', 'y/p/1.png': '1', 'y/q/1.png': '1' }), ['x_p_1', 'y_p_1', 'q_1'])
  assert.deepEqual(idsOf({ '/one/s/a.png': 's/a', '/two/s/a.png': 's/a' }, '/'), ['one/s/a', 'two/s/a'])
})

test('an id that a longer one would take is lengthened in turn', () => {
  assert.deepEqual(idsOf({ 'a/x.nii': 'x', 'b/x.nii': 'x', 'c/a_x.nii': 'a_x' }), ['a_x', 'b_x', 'c_a_x'])
})

test('the same path named twice is numbered, and so is what has no folders left', () => {
  assert.deepEqual(
    idsOf([
      ['d/a.png', 'a'],
      ['d/a.png', 'a'],
    ]),
    ['a', 'a_2'],
  )
  assert.deepEqual(idsOf({ '../a.png': 'a', './a.png': 'a' }), ['a', 'a_2'])
})
