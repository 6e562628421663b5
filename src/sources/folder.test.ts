import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { DataConfig } from '../schema/data.ts'
import { Task } from '../schema/task.ts'
import { writeFiles } from './layout_fixture.ts'
import { readSource } from './read.ts'

let base: string
let serial = 0
before(async () => {
  base = await mkdtemp(join(tmpdir(), 'fiducial-folder-'))
})
after(() => rm(base, { recursive: true }))

/** Files by path, or the paths of small pictures. */
async function folder(files: Parameters<typeof writeFiles>[1] | string[]): Promise<string> {
  const root = join(base, String(serial++))
  await writeFiles(root, Array.isArray(files) ? Object.fromEntries(files.map((f) => [f, true])) : files)
  return root
}

function read(root: string, { source = {}, labels = ['pneumonia'], exclusive = false, split = {} } = {}) {
  const data = DataConfig.parse({ root, source: { kind: 'folder', negative: ['normal'], ...source }, split })
  return readSource(data, Task.parse({ kind: 'classify', labels, exclusive }), root)
}

const SIMPLE = ['pneumonia/b.png', 'normal/a.png', 'normal/deep/down/c.png']

test('a folder a class: cases in the order of their paths, whatever order the disk gives', async () => {
  const { cases, has_given_split } = await read(await folder(SIMPLE))
  assert.deepEqual(
    cases.map((c) => [c.case_id, c.labels.pneumonia, c.patient_id]),
    [
      ['normal/a', 0, 'normal/a'],
      ['normal/deep/down/c', 0, 'normal/deep/down/c'],
      ['pneumonia/b', 1, 'pneumonia/b'],
    ],
  )
  assert.equal(has_given_split, false)
})

test('several classes that exclude each other are one-hot', async () => {
  const { cases } = await read(await folder(SIMPLE), {
    source: { negative: [] },
    labels: ['normal', 'pneumonia'],
    exclusive: true,
  })
  assert.deepEqual(cases.at(-1)!.labels, { normal: 0, pneumonia: 1 })
})

test('train, val and test folders of classes are the given split', async () => {
  const root = await folder([
    'train/normal/a.png',
    'train/pneumonia/b.png',
    'valid/normal/c.png',
    'test/pneumonia/d.png',
  ])
  const { cases, has_given_split } = await read(root, { split: { official: true } })
  assert.equal(has_given_split, true)
  assert.deepEqual(
    cases.map((c) => [c.case_id, c.split, c.labels.pneumonia]),
    [
      ['test/pneumonia/d', 'test', 1],
      ['train/normal/a', 'train', 0],
      ['train/pneumonia/b', 'train', 1],
      ['valid/normal/c', 'val', 0],
    ],
  )
})

test('an official split of plain class folders is an error', async () => {
  await assert.rejects(
    read(await folder(SIMPLE), { split: { official: true } }),
    /class folders would have to lie in train\//,
  )
})

test('a split column of folders is an error', async () => {
  await assert.rejects(read(await folder(SIMPLE), { split: { column: 'part' } }), /needs a table/)
})

test('the first group of the pattern is the patient', async () => {
  const root = await folder(['normal/p1_a.png', 'normal/p1_b.png', 'pneumonia/p2_a.png'])
  const { cases } = await read(root, { source: { patient: '/(p\\d+)_' } })
  assert.deepEqual(
    cases.map((c) => c.patient_id),
    ['p1', 'p1', 'p2'],
  )
})

test('with alternatives the group that matched is the patient', async () => {
  const root = await folder(['normal/IM-7-0001.png', 'pneumonia/person3_virus.png'])
  const { cases } = await read(root, { source: { patient: '(?:(person\\d+)|(IM-\\d+))' } })
  assert.deepEqual(
    cases.map((c) => c.patient_id),
    ['IM-7', 'person3'],
  )
})

test('a pattern that matches some paths warns; none, no group, or no expression are errors', async () => {
  const root = await folder(SIMPLE)
  assert.match((await read(root, { source: { patient: '(a)\\.png' } })).warnings.join(), /all but 2 of 3/)
  await assert.rejects(
    read(root, { source: { patient: '(zz)' } }),
    /matches none of 3, e\.g\. normal\/a\.png/,
  )
  await assert.rejects(read(root, { source: { patient: 'p\\d+' } }), /has no group/)
  await assert.rejects(read(root, { source: { patient: '(p\\d+' } }), /not a regular expression/)
})

test('without a pattern a warning says that every image is its own patient', async () => {
  assert.match((await read(await folder(SIMPLE))).warnings.join(), /every image is its own patient/)
})

test('hidden files and archive droppings are ignored; other files are listed and left alone', async () => {
  const root = await folder({
    ...Object.fromEntries(SIMPLE.map((file) => [file, true])),
    '.DS_Store': 'x',
    'normal/._a.png': 'x',
    '.hidden/normal/x.png': 'x',
    '__MACOSX/normal/a.png': 'x',
    'normal/Thumbs.db': 'x',
    'README.txt': 'x',
  })
  const { cases, warnings, skipped } = await read(root)
  assert.equal(cases.length, 3)
  assert.deepEqual(skipped, [])
  assert.match(
    warnings.join(),
    /2 files in .* are not images by name and are left alone: README\.txt, normal\/Thumbs\.db/,
  )
})

test('links are followed, loops are not, and dead links are listed', async () => {
  const root = await folder(SIMPLE)
  const elsewhere = await folder(['e.png'])
  await symlink(root, join(root, 'normal', 'loop'))
  await symlink(join(elsewhere, 'e.png'), join(root, 'normal', 'e.png'))
  await symlink('/nonexistent/f.png', join(root, 'normal', 'f.png'))
  const { cases, skipped } = await read(root)
  assert.deepEqual(
    cases.map((c) => c.case_id),
    ['normal/a', 'normal/deep/down/c', 'normal/e', 'pneumonia/b'],
  )
  assert.deepEqual(
    skipped.map((s) => [s.file, s.reason]),
    [
      ['normal/f.png', 'A link that leads nowhere. Mend or remove it.'],
      ['normal/loop', 'A link to a folder that is read already; not followed.'],
    ],
  )
})

test('hostile file names survive', async () => {
  const names = [
    '-rf.png',
    'new\nline.png',
    '$(id);\u202egnp.png',
    '__proto__.png',
    'a"b\\c.png',
    '☠ é.png',
    '...png',
  ]
  const root = await folder(['pneumonia/z.png', ...names.slice(0, -1).map((name) => `normal/${name}`)])
  await writeFile(join(root, 'normal', names.at(-1)!), 'hidden')
  const { cases } = await read(root)
  assert.deepEqual(
    cases.slice(0, -1).map((c) => c.images[0]),
    names
      .slice(0, -1)
      .map((name) => `normal/${name}`)
      .sort(),
  )
  assert.equal(new Set(cases.map((c) => c.case_id)).size, cases.length)
})

test('a file name that is not UTF-8 is listed, as it cannot be opened', async () => {
  const root = await folder(SIMPLE)
  await writeFile(
    Buffer.concat([Buffer.from(`${root}/normal/`), Buffer.from([0x66, 0xff, 0x2e, 0x70, 0x6e, 0x67])]),
    'x',
  )
  const { skipped } = await read(root)
  assert.match(skipped[0]!.reason, /not UTF-8/)
})

test('class folders that the recipe does not name are an error with counts', async () => {
  const root = await folder([...SIMPLE, 'covid/x.png', 'covid/y.png'])
  await assert.rejects(
    read(root),
    /1 class folder is neither[\s\S]*"covid" {2}2 images[\s\S]*certainly none of the labels/,
  )
})

test('a label without a folder is an error that lists the folders', async () => {
  await assert.rejects(
    read(await folder(['normal/a.png', 'Pneumonia/b.png'])),
    /"Pneumonia" {2}1 image; task\.labels has "pneumonia": spell them alike/,
  )
  await assert.rejects(
    read(await folder(['normal/a.png'])),
    /No class folder is named "pneumonia"; found normal/,
  )
})

test('loose images are left out with a warning; nothing but loose images is an error', async () => {
  const { cases, warnings } = await read(await folder([...SIMPLE, 'loose.png']))
  assert.equal(cases.length, 3)
  assert.match(warnings.join(), /1 image lies in no class folder and is left out: loose\.png/)
  await assert.rejects(
    read(await folder(['a.png', 'b.png'])),
    /no class folders, so nothing says what they show/,
  )
})

test('an empty folder, and one of DICOM or NIfTI files, say what was found and what is read', async () => {
  const empty = join(base, 'empty')
  await mkdir(empty)
  await assert.rejects(read(empty), /holds no image/)
  await assert.rejects(
    read(await folder({ 'normal/a.dcm': 'x', 'normal/b.nii.gz': 'x', 'normal/c.dcm': 'x' })),
    /holds 2 files in DICOM format and 1 file in NIfTI format, which are not read as single images[\s\S]*dataset\.json and imagesTr/,
  )
})

test('images that differ in the extension alone stay apart', async () => {
  const { cases } = await read(await folder([...SIMPLE, 'normal/a.jpg']))
  assert.deepEqual(
    cases.slice(0, 2).map((c) => c.case_id),
    ['normal/a.jpg', 'normal/a.png'],
  )
})
