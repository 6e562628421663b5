import assert from 'node:assert/strict'
import { appendFile, mkdtemp, readFile, rm, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { DataConfig } from '../schema/data.ts'
import { Task } from '../schema/task.ts'
import { CHESTXRAY14_LABELS } from './chestxray14.ts'
import { type ChestXray14Layout, writeChestXray14Layout } from './layout_fixture.ts'
import { readSource } from './read.ts'

let base: string
let serial = 0
before(async () => {
  base = await mkdtemp(join(tmpdir(), 'fiducial-nih-'))
})
after(() => rm(base, { recursive: true }))

async function layout(options: ChestXray14Layout = {}): Promise<string> {
  const root = join(base, String(serial++))
  await writeChestXray14Layout(root, { size: 8, ...options })
  return root
}

function read(
  root: string,
  labels: readonly string[] = CHESTXRAY14_LABELS,
  split: object = { official: true },
) {
  const data = DataConfig.parse({ root, source: { kind: 'chestxray14' }, split })
  return readSource(data, Task.parse({ kind: 'classify', labels: [...labels] }), root)
}

test('fourteen labels, each in every case, split on the bar', async () => {
  const { cases, labels } = await read(await layout())
  assert.equal(labels.length, 14)
  assert.equal(cases.length, 20)
  const present = (id: string) => {
    const found = cases.find((c) => c.case_id === id)!
    assert.deepEqual(Object.keys(found.labels), [...CHESTXRAY14_LABELS])
    return labels.filter((label) => found.labels[label] === 1)
  }
  assert.deepEqual(present('00000001_000'), [])
  assert.deepEqual(present('00000003_001'), ['Infiltration', 'Nodule'])
  assert.deepEqual(present('00000004_000'), ['Pleural_Thickening'])
})

for (const release of ['2017', '2020'] as const)
  for (const folders of ['flat', 'numbered'] as const)
    test(`the ${release} table with ${folders} image folders reads alike`, async () => {
      const { cases, skipped } = await read(await layout({ release, folders }))
      assert.deepEqual(skipped, [])
      const [first] = cases
      assert.deepEqual(
        { ...first, labels: undefined },
        {
          case_id: '00000001_000',
          patient_id: '1',
          images: [folders === 'flat' ? 'images/00000001_000.png' : 'images_001/images/00000001_000.png'],
          labels: undefined,
          attributes: { age: 41, sex: 'M', view: 'PA', follow_up: 0 },
          split: 'train',
        },
      )
      assert.equal(cases.at(-1)!.split, 'test')
    })

test('the official lists are the split; patients in both stay visible as such', async () => {
  const { cases, has_given_split } = await read(await layout({ sharedPatients: 1 }))
  assert.equal(has_given_split, true)
  assert.deepEqual(
    cases.filter((c) => c.patient_id === '1').map((c) => c.split),
    ['train', 'test'],
  )
})

test('without the lists an official split is an error, and a random one is not', async () => {
  const root = await layout({ hasLists: false })
  await assert.rejects(read(root), /train_val_list\.txt and test_list\.txt are not both there/)
  assert.equal((await read(root, ['Effusion'], {})).has_given_split, false)
})

test('an image in both lists is an error; one in neither is counted', async () => {
  const root = await layout()
  await writeFile(join(root, 'train_val_list.txt'), '00000001_000.png\r\n')
  assert.match((await read(root)).warnings.join(), /15 images are in neither/)
  await appendFile(join(root, 'test_list.txt'), '00000001_000.png\n')
  await assert.rejects(read(root), /both name 00000001_000\.png/)
})

test('a task may take a few findings; the others count as absent', async () => {
  const { cases } = await read(await layout(), ['Nodule'])
  assert.deepEqual(cases[4]!.labels, { Nodule: 1 })
  assert.deepEqual(cases[2]!.labels, { Nodule: 0 })
})

test('a label that is no finding is an error with the nearest', async () => {
  await assert.rejects(read(await layout(), ['Pleural Thickening']), /did you mean "Pleural_Thickening"/)
})

test('a finding that the data set does not have is an error with its count', async () => {
  const root = await layout()
  const path = join(root, 'Data_Entry_2017_v2020.csv')
  await writeFile(path, (await readFile(path, 'utf8')).replaceAll('Effusion|Mass', 'Effusion|Fracture'))
  await assert.rejects(read(root), /"Fracture" {2}2 rows/)
})

test('one of the two lists alone is no official split, and said', async () => {
  const root = await layout()
  await unlink(join(root, 'test_list.txt'))
  const { has_given_split, warnings } = await read(root, CHESTXRAY14_LABELS, {})
  assert.equal(has_given_split, false)
  assert.match(warnings.join(), /test_list\.txt is missing: .* train_val_list\.txt alone is not used/)
})

test('missing images are skipped and listed; none at all is an error', async () => {
  const root = await layout()
  await unlink(join(root, 'images', '00000002_001.png'))
  const { skipped } = await read(root)
  assert.deepEqual(
    skipped.map((s) => s.file),
    ['00000002_001.png'],
  )
  await rm(join(root, 'images'), { recursive: true })
  await assert.rejects(read(root), /None of the 20 images/)
})

test('ages of the old table are years; months count as years below one; ages beyond life are unknown', async () => {
  const root = await layout({ release: '2017' })
  const path = join(root, 'Data_Entry_2017.csv')
  const text = (await readFile(path, 'utf8'))
    .replaceAll('041Y', '007M')
    .replaceAll('042Y', '413Y')
    .replaceAll('043Y', '')
  await writeFile(path, text)
  const { cases, warnings } = await read(root)
  const age = (patient: string) => cases.find((c) => c.patient_id === patient)!.attributes.age
  assert.deepEqual([age('1'), age('2'), age('3'), age('4')], [0, null, null, 44])
  assert.match(warnings.join(), /2 rows of Data_Entry_2017\.csv give ages above 120 years/)
})

test('a folder without the table is an error that names both tables', async () => {
  await assert.rejects(read(base), /neither Data_Entry_2017_v2020\.csv nor Data_Entry_2017\.csv/)
})
