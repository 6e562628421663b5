import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { DataConfig } from '../schema/data.ts'
import { Task } from '../schema/task.ts'
import { writeMhistLayout } from './layout_fixture.ts'
import { readSource } from './read.ts'

let base: string
let serial = 0
before(async () => {
  base = await mkdtemp(join(tmpdir(), 'fiducial-mhist-'))
})
after(() => rm(base, { recursive: true }))

async function layout(edit: (table: string) => string = (table) => table): Promise<string> {
  const root = join(base, String(serial++))
  await writeMhistLayout(root, { size: 8 })
  const path = join(root, 'annotations.csv')
  await writeFile(path, edit(await readFile(path, 'utf8')))
  return root
}

function read(root: string, task: object = { labels: ['SSA'] }) {
  const data = DataConfig.parse({ root, source: { kind: 'mhist' }, split: { official: true } })
  return readSource(data, Task.parse({ kind: 'classify', ...task }), root)
}

test('the majority vote is the label, the votes an attribute, the partition the split', async () => {
  const { cases, warnings, has_given_split } = await read(await layout())
  assert.equal(cases.length, 16)
  assert.deepEqual(cases[3], {
    case_id: 'MHIST_aa3',
    patient_id: 'MHIST_aa3',
    images: ['images/MHIST_aa3.png'],
    labels: { SSA: 0 },
    attributes: { ssa_votes: 3 },
    split: 'test',
  })
  assert.deepEqual(
    cases.slice(0, 8).map((c) => c.labels.SSA),
    [0, 0, 0, 0, 1, 1, 1, 1],
  )
  assert.equal(has_given_split, true)
  assert.match(warnings.join(), /names no patients/)
})

test('HP and SSA may be two classes that exclude each other', async () => {
  const { cases } = await read(await layout(), { labels: ['HP', 'SSA'], exclusive: true })
  assert.deepEqual(cases[0]!.labels, { HP: 1, SSA: 0 })
})

test('a label that contradicts its votes is used and listed', async () => {
  const { warnings } = await read(await layout((table) => table.replace('aa0.png,HP,0', 'aa0.png,SSA,0')))
  assert.match(
    warnings.join(),
    /1 majority label of annotations\.csv contradicts its votes; the label is used: MHIST_aa0\.png/,
  )
})

test('other labels, votes, partitions, repeated and escaping names are errors that name the line', async () => {
  await assert.rejects(read(await layout(), { labels: ['adenoma'] }), /it has HP and SSA/)
  const broken = (from: string, to: string) =>
    layout((table) => table.replace(from, to)).then((root) => read(root))
  await assert.rejects(broken('aa1.png,HP,1', 'aa1.png,HP,9'), /line 3: .* must be 0 to 7, found "9"/)
  await assert.rejects(broken('HP,1,train', 'HP,1,both'), /line 3: Partition must be train or test/)
  await assert.rejects(broken('MHIST_aa1.png', 'MHIST_aa0.png'), /on lines 2 and 3/)
  await assert.rejects(broken('MHIST_aa1.png', '../../../x.png'), /not the name of a file in images/)
  await assert.rejects(broken('aa1.png,HP', 'aa1.png,TA'), /"TA" {2}1 row/)
})

test('missing tiles are skipped and listed', async () => {
  const root = await layout()
  await unlink(join(root, 'images', 'MHIST_aa5.png'))
  const { cases, skipped } = await read(root)
  assert.equal(cases.length, 15)
  assert.equal(skipped[0]!.file, 'images/MHIST_aa5.png')
})
