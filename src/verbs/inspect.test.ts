import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import { readHeader } from '../imaging/header.ts'
import {
  prepareSmall,
  type SmallCase,
  smallCases,
  smallRecipe,
  writeDataSet,
} from '../prepare/testing/small_data_set.ts'
import { UserError } from '../schema/errors.ts'
import { parse } from '../schema/parse.ts'
import { InspectResult } from '../schema/results.ts'
import { inspect } from './inspect.ts'
import { quietIo } from './io.ts'

let dir: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-inspect-'))
})
after(() => rm(dir, { recursive: true }))

const recipeText = (root: string, split: object) =>
  stringify({
    name: 'small',
    data: {
      root,
      source: {
        kind: 'csv',
        file: 'labels.csv',
        image: 'file',
        case_id: 'id',
        patient: 'patient',
        labels: { columns: { finding: 'finding' }, unknown: [''] },
      },
      split,
    },
    prepare: { size: [12, 16], shard_mb: 0.00192 },
    task: { kind: 'classify', labels: ['finding'] },
  })

async function dataSet(name: string, cases: readonly SmallCase[], split: object = { val: 0.25, test: 0.25 }) {
  const root = join(dir, name)
  await writeDataSet(root, cases)
  const recipe = join(dir, `${name}.yaml`)
  await writeFile(recipe, recipeText(root, split))
  return { root, recipe }
}

const options = { prepared: '/nowhere' }

test('a recipe: counts of labels, patients and the split that training would use', async () => {
  const cases = smallCases(24)
  cases[0] = { ...cases[0]!, finding: '' }
  const { recipe } = await dataSet('counted', cases)
  const result = parse(InspectResult, await inspect(recipe, options, quietIo()), 'the result')
  assert.equal(result.cases, 24)
  assert.equal(result.patients, 12)
  assert.deepEqual(result.labels, { finding: { positive: 7, negative: 16, unknown: 1 } })
  assert.deepEqual(result.split, { train: 12, val: 6, test: 6 })
  assert.deepEqual(result.split_patients, { train: 6, val: 3, test: 3 })
  assert.equal(result.split_kind, 'random')
  assert.deepEqual(result.leaks, [])
  assert.deepEqual(result.images?.height, { min: 20, median: 20, max: 20 })
})

test('the split is the one that prepare makes', async () => {
  const { root, recipe } = await dataSet('planned', smallCases(40))
  const inspected = await inspect(recipe, options, quietIo())
  const { split } = await prepareSmall(
    smallRecipe(root, { data: { split: { val: 0.25, test: 0.25 } } }),
    join(dir, 'planned-work'),
  )
  assert.deepEqual(inspected.split, split.cases)
  assert.deepEqual(inspected.split_patients, split.patients)
})

test('the split of an updated set is the kept one', async () => {
  const { root, recipe } = await dataSet('kept', smallCases(30))
  const small = smallRecipe(root, { data: { split: { val: 0.25, test: 0.25 } } })
  const work = join(dir, 'kept-work')
  await prepareSmall(small, work)
  await writeDataSet(root, smallCases(50).slice(6))
  const { split } = await prepareSmall(small, work, { update: true })
  const inspected = await inspect(recipe, { prepared: join(work, 'prepared') }, quietIo())
  assert.deepEqual(inspected.split, split.cases)
})

test('a given split that shares patients: each is named with its cases and parts', async () => {
  const parts = ['train', 'test', 'val', 'val', 'train', 'train']
  const cases = smallCases(24).map((one, i) => ({ ...one, part: parts[i % 6]! }))
  const { recipe, root } = await dataSet('leaky', cases, { column: 'part' })
  for (const target of [recipe, root, join(root, 'labels.csv')]) {
    const { leaks, split_kind, warnings } = await inspect(target, options, quietIo())
    assert.equal(leaks.length, 4)
    assert.deepEqual(leaks[0], {
      kind: 'same_patient',
      case_ids: target === recipe ? ['c0000', 'c0001'] : ['images/c0000', 'images/c0001'],
      splits: ['train', 'test'],
      case_splits: ['train', 'test'],
    })
    assert.equal(split_kind, 'column')
    assert.ok(warnings.some((warning) => warning.includes('train and test 4')))
  }
})

test('one image under two patients in different parts is a leak too', async () => {
  const cases = smallCases(12).map((one, i) => ({ ...one, part: i < 8 ? 'train' : 'test' }))
  cases[11] = { ...cases[11]!, seed: cases[0]!.seed }
  const { recipe } = await dataSet('copied', cases, { column: 'part' })
  const { leaks, warnings } = await inspect(recipe, options, quietIo())
  assert.deepEqual(leaks, [
    {
      kind: 'same_bytes',
      case_ids: ['c0000', 'c0011'],
      splits: ['train', 'test'],
      case_splits: ['train', 'test'],
    },
  ])
  assert.ok(warnings.some((warning) => warning.startsWith('1 images are there more than once')))
  assert.ok(warnings.some((warning) => warning.includes('contradict each other')))
})

test('what would spoil a training is warned of', async () => {
  const cases = smallCases(12).map(
    (one, i): SmallCase => ({ ...one, finding: 1, ...(i === 3 ? { height: 40 } : {}) }),
  )
  const { recipe, root } = await dataSet('spoilt', cases)
  await rm(join(root, 'images/c0007.png'))
  await writeFile(join(root, 'images/c0005.png'), 'not a PNG')
  const { warnings, skipped } = await inspect(recipe, options, quietIo())
  const says = (text: string) =>
    assert.ok(
      warnings.some((warning) => warning.includes(text)),
      `${text}\n${warnings.join('\n')}`,
    )
  says('no negative case')
  says('Images differ in size: 20 to 40 rows')
  says('1 of 11 sampled images cannot be read')
  says('1 cases are listed but cannot be used')
  assert.equal(skipped[0]?.file, 'images/c0007.png')
})

test('too few patients for the split is a finding, not a failure', async () => {
  const { recipe } = await dataSet('few', smallCases(4))
  const { warnings, cases, split_kind } = await inspect(recipe, options, quietIo())
  assert.equal(cases, 4)
  assert.equal(split_kind, null)
  assert.ok(warnings.some((warning) => warning.includes('2 patients cannot fill 3 parts')))
})

test('data that bring no split have none', async () => {
  const { root } = await dataSet('plain', smallCases(12))
  const result = await inspect(join(root, 'labels.csv'), options, quietIo())
  assert.equal(result.split_kind, null)
  assert.deepEqual(result.split, { train: 0, val: 0, test: 0 })
  assert.equal(result.patients, 6)
})

test('a contact sheet has a row of images a label', async () => {
  const { recipe } = await dataSet('sheet', smallCases(24))
  const file = join(dir, 'sheet.png')
  const { contact_sheet } = await inspect(recipe, { ...options, contactSheet: file }, quietIo())
  assert.deepEqual(
    contact_sheet?.rows.map((row) => [row.label, row.case_ids.length]),
    [
      ['finding', 8],
      ['none', 8],
    ],
  )
  const { height, width } = await readHeader(await readFile(file))
  assert.deepEqual([height, width], [2 * 132 + 4, 8 * 132 + 4])
})

test('what is not there, or changed without a recipe, is refused', async () => {
  const { root } = await dataSet('refused', smallCases(12))
  await assert.rejects(inspect(join(dir, 'nothing'), options, quietIo()), UserError)
  await assert.rejects(inspect(join(dir, 'nothing.yaml'), options, quietIo()), /no recipe at/)
  await assert.rejects(
    inspect(root, { ...options, set: ['data.split.seed=1'] }, quietIo()),
    /--set changes a recipe/,
  )
})

const nih = fileURLToPath(new URL('../../../shared/data/chest-nih64', import.meta.url))
test('chest-nih64 brings a split that shares 30 patients', {
  skip: existsSync(join(nih, 'labels.csv')) ? false : 'no ../shared/data',
}, async () => {
  const { leaks, split, patients, warnings } = await inspect(nih, options, quietIo())
  assert.equal(patients, 264)
  assert.deepEqual(split, { train: 600, val: 200, test: 200 })
  assert.equal(leaks.length, 30)
  assert.ok(
    warnings.some((warning) => warning.includes('train and val 15, train and test 8, val and test 9')),
  )
})
