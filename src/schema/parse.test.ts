import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SchemaError } from './errors.ts'
import { parseRecipe, quoted } from './parse.ts'

const LEAST = { name: 'x', data: { root: '.', source: 'folder' }, task: { kind: 'classify', labels: ['a'] } }

/** The one mistake of the least recipe with `changes`, as it is told. */
function mistakeOf(changes: object): string {
  try {
    parseRecipe({ ...LEAST, ...changes }, 'r.yaml')
  } catch (error) {
    assert.ok(error instanceof SchemaError)
    const [head, ...lines] = error.message.split('\n')
    assert.equal(head, '1 mistake in r.yaml:')
    return lines.join('\n').trim()
  }
  assert.fail('accepted')
}

test('a mistake says where, what is expected and what was found, in plain words', () => {
  const told: [object, string][] = [
    [{ train: { seed: 1e20 } }, 'train.seed: expected at most 4294967295, found 100000000000000000000'],
    [{ train: { epochs: 0 } }, 'train.epochs: expected more than 0, found 0'],
    [{ augment: { flip_x: 3 } }, 'augment.flip_x: expected at most 1, found 3'],
    [{ train: { lr: Number.NaN } }, 'train.lr: expected a number, found NaN'],
    [{ train: { lr: null } }, 'train.lr: expected a number, found nothing'],
    [{ train: { deterministic: 'yes' } }, 'train.deterministic: expected true or false, found "yes"'],
    [{ train: { precision: 'fp8' } }, 'train.precision: expected auto, fp32, bf16 or fp16, found "fp8"'],
    [
      { prepare: { fit: 'squish' } },
      'prepare.fit: expected squash, pad or crop, found "squish"; did you mean "squash"?',
    ],
    [{ prepare: { window: { low: 3 } } }, 'prepare.window.high: is missing; expected a number'],
    [{ task: { kind: 'classify', labels: [] } }, 'task.labels: expected at least 1 entry, found []'],
    [
      { model: { kind: 'resnet18', depth: 11 } },
      'model.depth: is no key of kind "resnet18"; resnet3d has it',
    ],
    [{ model: { kind: 'resnet3d', depth: 11 } }, 'model.depth: expected 10, 18, 34 or 50, found 11'],
    [
      { data: { root: '.', source: 'folder', split: { val: 0.1, folds: 5 } } },
      'data.split.folds: folds and val exclude each other; write one of them',
    ],
    [{ evaluate: { mirror: ['z'] } }, 'evaluate.mirror: is for segmentation'],
    [{ name: 'a/b' }, 'name: expected letters, digits, dot, dash and underscore, found "a/b"'],
  ]
  for (const [changes, line] of told) assert.equal(mistakeOf(changes), line)
})

test('of a long value the middle is left out, as the end of a path tells files apart', () => {
  const text = quoted(`/data/${'folder/'.repeat(40)}scan.png`)
  assert.ok(text.length <= 80 && text.startsWith('"/data/') && text.endsWith('/scan.png"'))
})

const labelled = (more: object) =>
  parseRecipe(
    {
      name: 'a',
      data: { root: '.', source: { kind: 'folder' } },
      task: { kind: 'classify', labels: ['x'] },
      ...more,
    },
    'a.yaml',
  )

for (const [what, more] of [
  ['a size of three numbers', { prepare: { size: [20, 24, 28] } }],
  ['a key that only volumes have', { prepare: { spacing_mm: 'source' } }],
  ['prepare.kind', { prepare: { kind: 'volume' } }],
  ['a model of volumes', { model: 'resnet3d' }],
] as const)
  test(`a classification is of volumes by ${what}, and resnet3d unless another model is named`, () => {
    const { prepare, augment, model } = labelled(more)
    assert.deepEqual([prepare.kind, augment.kind], ['volume', 'volume'])
    assert.equal('kind' in model && model.kind, 'resnet3d')
  })

test('a classification with a size of two numbers stays one of images', () => {
  const { prepare, model } = labelled({ prepare: { size: [20, 24] } })
  assert.equal(prepare.kind, 'image')
  assert.equal('kind' in model && model.kind, 'resnet18')
})
