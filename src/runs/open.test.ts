import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { parseRecipe } from '../schema/parse.ts'
import type { RunConfig } from '../schema/run.ts'
import { sha256 } from '../storage/local.ts'
import { writeRun } from './create.ts'
import { resolveModel, writeModelSource } from './model.ts'
import { findRunToContinue } from './open.ts'
import { readProvenance } from './provenance.ts'
import { resolveRunConfig, withProbe } from './resolve.ts'
import { exampleConfig, exampleId } from './testing/example_config.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-open-'))
})
afterEach(() => rm(dir, { recursive: true }))

async function makeRun(id: string, { finished = false, config = exampleConfig() } = {}) {
  await mkdir(join(dir, id), { recursive: true })
  await writeRun(join(dir, id), 'name: chest\n', config)
  if (finished)
    await writeFile(
      join(dir, id, 'events.jsonl'),
      '{"type":"end","step":9,"status":"finished","message":null,"seconds":{},"time":0}\n',
    )
}
const find = (options: object = {}, wanted: RunConfig = exampleConfig()) =>
  findRunToContinue(wanted, { parent: dir, ...options })

test('the newest unfinished run of the same recipe is continued, a finished one only when asked', async () => {
  assert.equal(await find(), null)
  await makeRun('done', { finished: true })
  assert.equal(await find(), null)
  assert.equal((await find({ reuseFinished: true }))?.id, 'done')
  await makeRun('begun')
  assert.equal((await find())?.id, 'begun')
})

test('--new starts another run whatever exists, but not in a folder that holds one', async () => {
  await makeRun('begun')
  assert.equal(await find({ new: true }), null)
  await assert.rejects(find({ new: true, runDir: join(dir, 'begun') }), /already holds a run/)
})

test('a named folder is continued when it holds the same run, and refused by what differs', async () => {
  await makeRun('begun')
  const runDir = join(dir, 'begun')
  assert.equal((await find({ runDir }))?.id, 'begun')
  assert.equal(await find({ runDir: join(dir, 'fresh') }), null)
  const other = exampleConfig({ recipe_hash: exampleId('e') })
  await assert.rejects(find({ runDir }, other), /holds a run of another recipe\./)
})

test("a run whose network's file has changed is not continued", async () => {
  const network = (letter: string): RunConfig['model'] => ({
    family: 'file',
    file: 'model/net.py',
    sha256: exampleId(letter),
    name: 'Net',
    args: {},
    weights: 'none',
  })
  await makeRun('begun', { config: exampleConfig({ model: network('1') }) })
  assert.equal((await find({}, exampleConfig({ model: network('1') })))?.id, 'begun')
  assert.equal(await find({}, exampleConfig({ model: network('2') })), null)
})

const recipe = (extra: object = {}) =>
  parseRecipe(
    { name: 'a', data: { root: '.', source: 'folder' }, task: { kind: 'classify', labels: ['x'] }, ...extra },
    'test',
  )
const data = {
  dir: '/sets/one',
  index: { kind: 'images', set_id: exampleId('a'), sample_shape: [1, 5, 4], dtype: 'uint8' },
  split: {
    split_id: exampleId('b'),
    labels_id: exampleId('c'),
    normalization: exampleConfig().data.normalization,
  },
  fingerprint: { kind: 'images' },
} as unknown as Parameters<typeof resolveRunConfig>[2]
const resolved = (extra: object = {}) =>
  resolveRunConfig(recipe(extra), exampleId('d'), data, exampleConfig().model, exampleConfig().provenance)

test('loss auto is bce, and cross-entropy where labels exclude each other', () => {
  assert.deepEqual(resolved().train.loss, { kind: 'bce', pos_weight: 'none' })
  const task = { kind: 'classify', labels: ['x', 'y'], exclusive: true }
  assert.equal(resolved({ task }).train.loss.kind, 'cross_entropy')
  assert.equal(resolved({ task, train: { loss: 'focal' } }).train.loss.kind, 'focal')
})

test('the split decides mean and std; early stopping and selection become plain values', () => {
  const config = resolved({ train: { early_stopping: { patience: 4 }, select: { maximize: 'loss' } } })
  assert.deepEqual(config.data.normalization, exampleConfig().data.normalization)
  assert.deepEqual([config.train.early_stopping_patience, config.train.select], [4, 'loss'])
})

test('the probe fixes device and precision and nothing else', () => {
  const open = resolved()
  assert.deepEqual([open.train.device, open.train.precision], ['auto', 'auto'])
  const found = { device: 'cpu', precision: 'fp32', memory_bytes: 1e9 } as const
  const { config: fixed } = withProbe(open, found, recipe(), data)
  assert.deepEqual({ ...fixed, train: { ...fixed.train, device: 'auto', precision: 'auto' } }, open)
})

test("the user's network is read, hashed and copied into the run", async () => {
  await writeFile(join(dir, 'net.py'), 'class Net: ...\n')
  const model = await resolveModel(recipe({ model: { file: 'net.py', name: 'Net' } }).model, dir)
  assert.ok(model.model.family === 'file')
  assert.deepEqual([model.model.file, model.model.sha256], ['model/net.py', sha256('class Net: ...\n')])
  await writeModelSource(join(dir, 'run'), model)
  assert.equal(await readFile(join(dir, 'run', 'model', 'net.py'), 'utf8'), 'class Net: ...\n')
})

test('weights by name are kept, weights on disk become absolute and must be there', async () => {
  const resolve = async (weights: string) =>
    (await resolveModel(recipe({ model: { kind: 'resnet18', weights } }).model, dir)).model.weights
  assert.equal(await resolve('pretrained'), 'pretrained')
  assert.equal(await resolve('timm:a1_in1k'), 'timm:a1_in1k')
  await assert.rejects(resolve('w.safetensors'), /model\.weights: there is no w\.safetensors/)
  await writeFile(join(dir, 'w.safetensors'), '')
  assert.equal(await resolve('w.safetensors'), join(dir, 'w.safetensors'))
})

test('provenance outside a checkout has no commit rather than that of the folder around it', async () => {
  await writeFile(join(dir, 'package.json'), '{"version": "9.8.7"}')
  const provenance = await readProvenance(dir, new Date(0))
  assert.deepEqual(provenance, {
    fiducial_version: '9.8.7',
    commit: null,
    dirty: null,
    node_lock_sha256: null,
    python_lock_sha256: null,
    created: '1970-01-01T00:00:00.000Z',
  })
})
