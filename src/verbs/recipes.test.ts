import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { SchemaError, UserError } from '../schema/errors.ts'
import { labelNames } from '../schema/task.ts'
import { phantomRecipe } from '../sources/phantom_recipe.ts'
import { phantomVolumesClassifyRecipe } from '../sources/phantom_volumes_classify_recipe.ts'
import { phantomVolumesRecipe } from '../sources/phantom_volumes_recipe.ts'
import { readSource } from '../sources/read.ts'
import { loadRecipe } from './load_recipe.ts'

const recipes = fileURLToPath(new URL('../../recipes/', import.meta.url))
const dir = await mkdtemp(join(tmpdir(), 'fiducial-recipes-'))
after(() => rm(dir, { recursive: true }))

for (const path of globSync(join(recipes, '*.yaml'))) {
  test(`the recipe ${basename(path)} is valid and named as its file`, async () => {
    const { recipe } = await loadRecipe(path)
    assert.equal(`${recipe.name}.yaml`, basename(path))
  })
}

test('recipes/phantom.yaml is what "init phantom" writes: the same data, the same training', () => {
  const written = phantomRecipe('../demo/phantom', '../src/schema/recipe.schema.json')
  assert.equal(readFileSync(join(recipes, 'phantom.yaml'), 'utf8'), written)
})

test('recipes/phantom_volumes.yaml is what "init phantom_volumes" writes', () => {
  const written = phantomVolumesRecipe('../demo/phantom_volumes', '../src/schema/recipe.schema.json')
  assert.equal(readFileSync(join(recipes, 'phantom_volumes.yaml'), 'utf8'), written)
})

test('recipes/phantom_volumes_classify.yaml is what "init phantom_volumes_classify" writes', () => {
  const written = phantomVolumesClassifyRecipe(
    '../demo/phantom_volumes_classify',
    '../src/schema/recipe.schema.json',
  )
  assert.equal(readFileSync(join(recipes, 'phantom_volumes_classify.yaml'), 'utf8'), written)
})

for (const name of ['hippocampus', 'brats']) {
  const { recipe, root } = await loadRecipe(join(recipes, `${name}.yaml`))
  const skip = existsSync(root) ? false : `${root} is not there`
  test(`the recipe ${name}.yaml reads its data: every case has files, and structures that dataset.json names`, {
    skip,
  }, async () => {
    const { cases, skipped, labels } = await readSource(recipe.data, recipe.task, root)
    assert.deepEqual(skipped, [])
    assert.deepEqual(labels, labelNames(recipe.task))
    for (const { images, mask } of cases)
      for (const path of [...images, mask!]) assert.ok(existsSync(join(root, path)), path)
  })
}

const MINIMAL = 'name: a\ndata: { root: images, source: folder }\ntask: { kind: classify, labels: [x] }\n'
async function load(text: string, overrides: string[] = []) {
  const path = join(dir, 'recipe.yaml')
  await writeFile(path, text)
  return loadRecipe(path, overrides)
}

test('all typos of a recipe are reported at once, each with its path and the nearest key', async () => {
  const text = readFileSync(join(recipes, 'chest-kermany.yaml'), 'utf8')
    .replace('epochs:', 'epoch:')
    .replace('channels: 1', 'channels: 2')
    .replace('model:', 'modle:')
  await assert.rejects(load(text), (error: Error) => {
    assert.ok(error instanceof SchemaError)
    assert.match(error.message, /^3 mistakes in /)
    assert.match(error.message, /train\.epoch: unknown key; did you mean "epochs"\?/)
    assert.match(error.message, /prepare\.channels: /)
    assert.match(error.message, /modle: unknown key; did you mean "model"\?/)
    return true
  })
})

test('a recipe that is not there, is empty or is not YAML is a mistake with advice, never a crash', async () => {
  await assert.rejects(
    loadRecipe(join(dir, 'absent.yaml')),
    /There is no recipe at .*absent\.yaml[\s\S]*init/,
  )
  for (const empty of ['', '# a comment only\n', 'null\n'])
    await assert.rejects(load(empty), /the recipe is empty/)
  await assert.rejects(load('- a\n- b\n'), SchemaError)
  await assert.rejects(load('name: [unclosed'), /is not YAML/)
  await assert.rejects(loadRecipe(dir), UserError)
})

test('only name, root, source and task are needed', async () => {
  const { recipe, root } = await load(MINIMAL)
  assert.deepEqual(recipe.model, { kind: 'resnet18', weights: 'none', drop_rate: 0, drop_path_rate: 0 })
  assert.equal(root, join(dir, 'images'))
})

test('a comment or a default written out leaves the hash alone, a changed value does not', async () => {
  const { hash } = await load(MINIMAL)
  assert.equal((await load(`# a comment\n${MINIMAL}train: { epochs: 10 }\n`)).hash, hash)
  assert.notEqual((await load(MINIMAL, ['train.epochs=11'])).hash, hash)
})

test('what comes after the training, or only places it, leaves the hash alone', async () => {
  const { hash } = await load(MINIMAL)
  for (const override of [
    'evaluate.bootstrap=100',
    'package.certify_cases=3',
    'launch.processes_per_node=2',
    '$schema=../recipe.schema.json',
  ])
    assert.equal((await load(MINIMAL, [override])).hash, hash, override)
  for (const override of ['prepare.size=32', 'train.keep_checkpoints=3', 'name=other'])
    assert.notEqual((await load(MINIMAL, [override])).hash, hash, override)
})

test('--set reaches any key, through a bare name too, and takes YAML values', async () => {
  const { recipe } = await load(`${MINIMAL}train: { optimizer: sgd }\n`, [
    'train.optimizer.momentum=0.8',
    'prepare.size=[12, 20]',
    'data.split={folds: 3}',
  ])
  assert.deepEqual(recipe.prepare.size, [12, 20])
  assert.deepEqual(recipe.data.split, { folds: 3, fold: 0, seed: 0 })
  assert.equal(recipe.train.optimizer.kind === 'sgd' && recipe.train.optimizer.momentum, 0.8)
})

test('options without a kind are of the default kind', async () => {
  const { recipe } = await load(MINIMAL, [
    'launch.processes_per_node=2',
    'train.schedule.warmup=0.2',
    'model.drop_rate=0.1',
  ])
  assert.deepEqual([recipe.launch.kind, recipe.launch.processes_per_node], ['local', 2])
  assert.deepEqual(recipe.train.schedule, { kind: 'cosine', warmup: 0.2, min_lr_fraction: 0.01 })
  assert.ok('drop_rate' in recipe.model && recipe.model.kind === 'resnet18' && recipe.model.drop_rate === 0.1)
  await assert.rejects(
    load(`${MINIMAL}data: { root: a, source: { file: a.csv } }`.replace(/^data:.*\n/m, '')),
    /data\.source\.kind: is missing/,
  )
})

test('--set with a wrong key, value or form is a mistake that names it', async () => {
  await assert.rejects(load(MINIMAL, ['train.epoch=3']), /train\.epoch: unknown key; did you mean "epochs"/)
  await assert.rejects(load(MINIMAL, ['train.lr=fast']), /train\.lr: .*"fast"/)
  await assert.rejects(load(MINIMAL, ['train.lr']), /expected path=value/)
  await assert.rejects(load(MINIMAL, ['train.lr=[1']), UserError)
  await assert.rejects(load(MINIMAL, ['__proto__.x=1']), UserError)
  await assert.rejects(load(MINIMAL, ['x.__proto__=1']), UserError)
})

test('the text kept in a run gives the same recipe again, overrides included', async () => {
  const { text, hash } = await load(MINIMAL, ['train.lr=3e-4', 'model=resnet34'])
  assert.equal((await load(text)).hash, hash)
  assert.match(text, /^# Used with --set "train.lr=3e-4"/)
  assert.equal((await load(MINIMAL)).text, MINIMAL)
})

test('a root below ~ is below the home folder, from the file and from --set', async () => {
  const text = MINIMAL.replace('root: images', 'root: ~/images')
  assert.equal((await load(text)).root, join(homedir(), 'images'))
  assert.equal((await load(MINIMAL, ['data.root=~/x/y'])).root, join(homedir(), 'x', 'y'))
  assert.equal((await load(MINIMAL, ['data.root=~x'])).root, join(dir, '~x'))
})

test('YAML that multiplies, nests, holds types or several documents, and what is no text, is refused in one line', async () => {
  const nines = (name: string) => `[${Array(9).fill(name).join(', ')}]`
  const bomb = `a: &a ${nines('1')}\nb: &b ${nines('*a')}\nc: &c ${nines('*b')}\nd: ${nines('*c')}\n`
  for (const [text, message] of [
    [bomb, /alias/],
    ['a: *nowhere\n', /Unresolved alias/],
    ['a: &a [*a]\n', /stands inside the anchor/],
    ['a: &a { b: [{ c: *a }] }\n', /stands inside the anchor/],
    ['a: 1\n---\nb: 2\n', /holds 2 YAML documents/],
    [`a: ${'['.repeat(20_000)}${']'.repeat(20_000)}`, /nested too deep/],
    ['a: !!python/object:os.system x\n', /Unresolved tag/],
    ['\u0089PNG\r\n\u001a\n\u0000\u0000', /is not a text file\.$/],
  ] as const)
    await assert.rejects(load(text), (error: Error) => {
      assert.ok(error instanceof SchemaError, error.stack)
      assert.match(error.message, message)
      assert.ok(error.message.length < 400)
      return true
    })
})

test('numbers out of bounds, labels that stand twice and splits that cannot be are all named at once', async () => {
  const text = MINIMAL.replace('[x]', '[x, y, x]')
  const overrides = ['train.epochs=1e308', 'train.lr=.nan', 'data.split={val: 0.6, test: 0.4}']
  await assert.rejects(load(text, overrides), (error: Error) => {
    assert.match(error.message, /^4 mistakes/)
    assert.match(error.message, /task\.labels\.2: "x" stands twice\n/)
    assert.match(error.message, /train\.epochs: expected at most 100000/)
    assert.match(error.message, /train\.lr: expected a number, found NaN/)
    assert.match(error.message, /data\.split: val and test together leave nothing/)
    return true
  })
  await assert.rejects(
    load(MINIMAL, ['data.split={folds: 3, fold: 3}']),
    /1 mistake in [\s\S]*data\.split: fold/,
  )
})

test('a value of any length is cut where a message quotes it', async () => {
  await assert.rejects(load(MINIMAL, [`train.lr=${'x'.repeat(1e6)}`]), (error: Error) => {
    assert.ok(error.message.length < 300)
    return true
  })
})
