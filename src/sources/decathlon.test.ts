import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { DataConfig } from '../schema/data.ts'
import { UserError } from '../schema/errors.ts'
import { Task } from '../schema/task.ts'
import { readSource } from './read.ts'
import { writeDecathlonLayout } from './volume_layout_fixture.ts'

const base = await mkdtemp(join(tmpdir(), 'fiducial-decathlon-'))
after(() => rm(base, { recursive: true }))
let made = 0
const folder = () => join(base, `set-${made++}`)

const labels = { Anterior: 1, Posterior: 2 }
const read = (root: string, task: object = { labels }, data: object = {}) =>
  readSource(
    DataConfig.parse({ root, source: { kind: 'decathlon' }, ...data }),
    Task.parse({ kind: 'segment', ...task }),
    root,
  )

test('cases are the pairs of dataset.json in its order, named without endings', async () => {
  const root = folder()
  await writeDecathlonLayout(root, [{ name: 'b' }, { name: 'a' }])
  const { cases, volumes, warnings } = await read(root)
  assert.deepEqual(
    cases.map(({ case_id, images, mask }) => [case_id, images, mask]),
    [
      ['b', ['imagesTr/b.nii.gz'], 'labelsTr/b.nii.gz'],
      ['a', ['imagesTr/a.nii.gz'], 'labelsTr/a.nii.gz'],
    ],
  )
  assert.deepEqual(
    [...volumes!.maskValues],
    [
      [0, 'background'],
      [1, 'Anterior'],
      [2, 'Posterior'],
    ],
  )
  assert.match(warnings.join(), /Nothing names the patients/)
})

test('a pair without its image or mask is listed with what is missing, and the others are read', async () => {
  const root = folder()
  await writeDecathlonLayout(
    root,
    ['a', 'b', 'c', 'd'].map((name) => ({ name })),
  )
  await rm(join(root, 'imagesTr/a.nii.gz'))
  await rm(join(root, 'labelsTr/b.nii.gz'))
  for (const part of ['imagesTr', 'labelsTr']) await rm(join(root, part, 'c.nii.gz'))
  const { cases, skipped } = await read(root)
  assert.deepEqual(
    cases.map((one) => one.case_id),
    ['d'],
  )
  assert.deepEqual(
    skipped.map(({ file }) => file),
    ['labelsTr/a.nii.gz', 'imagesTr/b.nii.gz', 'imagesTr/c.nii.gz'],
  )
  assert.match(
    skipped[0]!.reason,
    /no file for its image imagesTr\/a\.nii\.gz\. Restore it, or take the pair out/,
  )
  assert.match(skipped[2]!.reason, /its image imagesTr\/c\.nii\.gz and its mask labelsTr\/c\.nii\.gz/)
})

test('files that dataset.json does not list are left alone and said', async () => {
  const root = folder()
  await writeDecathlonLayout(root, [{ name: 'a' }])
  await copyFile(join(root, 'imagesTr/a.nii.gz'), join(root, 'imagesTr/forgotten.nii.gz'))
  await writeFile(join(root, 'labelsTr/._a.nii.gz'), 'of another file system')
  const { cases, warnings } = await read(root)
  assert.equal(cases.length, 1)
  assert.match(
    warnings.join('\n'),
    /1 image in imagesTr\/ is not in dataset\.json and left alone: forgotten\.nii\.gz/,
  )
  assert.doesNotMatch(warnings.join('\n'), /labelsTr/)
})

test('what dataset.json must say and does not is named with the file', async () => {
  const wrong: [object | string | null, RegExp][] = [
    [null, /There is no dataset\.json in [\s\S]*do: point data\.root/],
    ['{ "labels": ', /This file is not JSON[\s\S]*dataset\.json/],
    [{ modality: {} }, /must name the channels "0", "1", … without a gap; found none/],
    [{ modality: { 0: 'CT', 2: 'PET' } }, /without a gap; found 0, 2/],
    [
      { labels: { 0: 'background', 300: 'Anterior' } },
      /labels has the values 300; masks are read as 0 to 255/,
    ],
    [{ labels: { first: 'Anterior' } }, /labels names "first": "Anterior"; one of them must be a number/],
    [{ training: undefined }, /lists no training pairs[\s\S]*data\.source: nnunet/],
    [
      { training: [{ image: '../x.nii.gz', label: 'y.nii.gz' }] },
      /names "\.\.\/x\.nii\.gz", which lies outside/,
    ],
    [{ training: [] }, /No case was found/],
  ]
  for (const [description, message] of wrong) {
    const root = folder()
    await writeDecathlonLayout(
      root,
      [{ name: 'a' }],
      typeof description === 'object' ? (description ?? {}) : {},
    )
    if (description === null) await rm(join(root, 'dataset.json'))
    if (typeof description === 'string') await writeFile(join(root, 'dataset.json'), description)
    await assert.rejects(read(root), (error: Error) => {
      assert.ok(error instanceof UserError)
      assert.match(error.message, message)
      return true
    })
  }
})

test('patients come from a pattern on the case ids; folds are drawn by them', async () => {
  const root = folder()
  await writeDecathlonLayout(
    root,
    ['p1_a', 'p1_b', 'p2_a'].map((name) => ({ name })),
  )
  const source = { kind: 'decathlon', patient: '^(p\\d+)_' }
  const { cases, warnings } = await read(root, { labels }, { source })
  assert.deepEqual(
    cases.map((one) => one.patient_id),
    ['p1', 'p1', 'p2'],
  )
  assert.doesNotMatch(warnings.join('\n'), /Nothing names the patients/)
  await assert.rejects(
    read(root, { labels }, { source: { kind: 'decathlon', patient: '(x\\d+)' } }),
    /matches none of 3/,
  )
})

test("the Decathlon's own split is refused: it publishes none with masks", async () => {
  const root = folder()
  await writeDecathlonLayout(root, [{ name: 'a' }])
  await assert.rejects(
    read(root, { labels }, { split: { official: true } }),
    /the Decathlon publishes no masks of its test part/,
  )
})

const unpaired = fileURLToPath(new URL('../../../shared/data/hippocampus-unpaired/', import.meta.url))
test('real files of which none has its counterpart are all listed, and no case is made of them', {
  skip: existsSync(unpaired) ? false : `${unpaired} is not there`,
}, async () => {
  const root = folder()
  await writeDecathlonLayout(root, [{ name: 'whole' }])
  const names = new Set<string>()
  for (const entry of await readdir(unpaired, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !/\.nii(\.gz)?$/.test(entry.name)) continue
    const part = /label/i.test(join(entry.parentPath, entry.name)) ? 'labelsTr' : 'imagesTr'
    await mkdir(join(root, part), { recursive: true })
    await copyFile(join(entry.parentPath, entry.name), join(root, part, entry.name))
    names.add(entry.name)
  }
  assert.ok(names.size > 0)
  const pair = (name: string) => ({ image: `./imagesTr/${name}`, label: `./labelsTr/${name}` })
  await writeFile(
    join(root, 'dataset.json'),
    JSON.stringify({
      modality: { 0: 'MRI' },
      labels: { 0: 'background', 1: 'Anterior', 2: 'Posterior' },
      training: [pair('whole.nii.gz'), ...[...names].map(pair)],
    }),
  )
  const { cases, skipped } = await read(root)
  assert.deepEqual(
    cases.map((one) => one.case_id),
    ['whole'],
  )
  assert.equal(skipped.length, names.size)
  for (const { reason } of skipped) assert.match(reason, /There is no file for its (image|mask) .*Restore it/)
})
