import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { obliqueSeries } from '../imaging/dicom/testing/drawn_series.ts'
import { DataConfig, PhantomVolumesSource } from '../schema/data.ts'
import { Task } from '../schema/task.ts'
import { identity, writeBelow } from './dicom_fixture.ts'
import { ensurePhantomVolumes } from './phantom_volumes_write.ts'
import { readSource } from './read.ts'
import { volumeFiles } from './volume_layout_fixture.ts'

let base: string
let serial = 0
before(async () => {
  base = await mkdtemp(join(tmpdir(), 'fiducial-labelled-volumes-'))
})
after(() => rm(base, { recursive: true }))

/** A folder with volumes at these paths, and other files as text. */
async function folder(volumes: readonly string[], others: Record<string, string> = {}): Promise<string> {
  const root = join(base, String(serial++))
  for (const path of volumes) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), (await volumeFiles({ name: path })).image)
  }
  for (const [path, text] of Object.entries(others)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), text)
  }
  return root
}
const read = (root: string, source: object, { isOfVolumes = true, labels = ['tumour'], data = {} } = {}) =>
  readSource(
    DataConfig.parse({ root, source, deidentify: false, ...data }),
    Task.parse({ kind: 'classify', labels }),
    root,
    undefined,
    { isOfVolumes },
  )
const csv = { kind: 'csv', file: 'labels.csv', labels: { column: 'label', negative: ['none'] } }

test('a row of a table is a case of one volume, named without .nii.gz', async () => {
  const root = await folder(['scans/b.nii.gz', 'scans/a.nii'], {
    'labels.csv': 'file,label\nscans/b.nii.gz,tumour\nscans/a.nii,none\n',
  })
  const { cases } = await read(root, { ...csv, image: 'file' })
  assert.deepEqual(
    cases.map(({ case_id, images, labels }) => [case_id, images, labels.tumour]),
    [
      ['scans/b', ['scans/b.nii.gz'], 1],
      ['scans/a', ['scans/a.nii'], 0],
    ],
  )
})

test('names without an extension find their volume', async () => {
  const root = await folder(['scans/b.nii.gz'], { 'labels.csv': 'file,label\nb,tumour\n' })
  const { cases } = await read(root, { ...csv, image: 'file', images_dir: 'scans' })
  assert.deepEqual(cases[0]!.images, ['scans/b.nii.gz'])
})

test('several columns are the channels of a case, in the order that the recipe gives', async () => {
  const root = await folder(['a_t1.nii.gz', 'a_t2.nii.gz', 'b_t1.nii.gz'], {
    'labels.csv': 't1,t2,label\na_t1.nii.gz,a_t2.nii.gz,tumour\nb_t1.nii.gz,b_t2.nii.gz,none\n',
  })
  const { cases, skipped } = await read(root, { ...csv, image: ['t2', 't1'] })
  assert.deepEqual(
    cases.map(({ images }) => images),
    [['a_t2.nii.gz', 'a_t1.nii.gz']],
  )
  assert.deepEqual(
    skipped.map(({ file }) => file),
    ['b_t2.nii.gz'],
    'a case that lacks a channel',
  )
})

test('class folders hold volumes, and other files are left alone with a warning', async () => {
  const root = await folder(['tumour/p1/x.nii.gz', 'none/y.nii'], { 'none/notes.png': 'no volume' })
  const { cases, warnings } = await read(root, { kind: 'folder', negative: ['none'] })
  assert.deepEqual(
    cases.map(({ case_id, labels }) => [case_id, labels.tumour]),
    [
      ['none/y', 0],
      ['tumour/p1/x', 1],
    ],
  )
  assert.ok(warnings.some((line) => /not volumes by name .* none\/notes\.png/.test(line)))
})

test('volumes under a recipe of images are refused with what to write', async () => {
  const root = await folder(['tumour/a.nii.gz', 'none/b.nii.gz'], {
    'labels.csv': 'file,label\ntumour/a.nii.gz,tumour\nnone/b.nii.gz,none\n',
  })
  const advice = /prepare: \{ kind: volume, size: \[z, y, x\] \}/
  await assert.rejects(read(root, { ...csv, image: 'file' }, { isOfVolumes: false }), advice)
  await assert.rejects(read(root, { kind: 'folder', negative: ['none'] }, { isOfVolumes: false }), advice)
})

test('phantom volumes have the label lesion where their truth has a lesion, and no other label', async () => {
  const root = join(base, 'phantom')
  const source = { kind: 'phantom_volumes', patients: 5, voxel_mm: 6 }
  const { cases, synthetic } = await read(root, source, { labels: ['lesion'] })
  const truth = await ensurePhantomVolumes(PhantomVolumesSource.parse(source), root)
  assert.equal(synthetic, true)
  assert.deepEqual(
    cases.map(({ case_id, patient_id, labels }) => [case_id, patient_id, labels.lesion]),
    truth.cases.map((one) => [one.case_id, one.patient_id, one.volumes_ml.Lesion > 0 ? 1 : 0]),
  )
  await assert.rejects(read(root, source, { labels: ['organ'] }), /has the label lesion alone/)
})

test('a source of masks alone is refused for classification', async () => {
  const root = await folder(['imagesTr/a.nii.gz'])
  await assert.rejects(read(root, { kind: 'decathlon' }), /it has no labels for task.kind: classify/)
})

/** An archive of two patients' series, and the table of labels by a key. */
async function archive(key: 'series' | 'accession' | 'study'): Promise<string> {
  const rows = [0, 1].map((n) => `${identity(n)[key]},${n === 0 ? 'tumour' : 'none'}\n`)
  const root = await folder([], { 'labels.csv': `key,label\n${rows.join('')}` })
  for (const n of [0, 1]) {
    const { series, study, accession, id } = identity(n)
    for (let k = 0; k < 6; k++) {
      const { files } = obliqueSeries({
        ...{ SOPInstanceUID: `${series}.${k + 1}`, SeriesInstanceUID: series, StudyInstanceUID: study },
        ...{ AccessionNumber: accession, PatientID: id, Modality: 'MR' },
      })
      await writeBelow(root, `patient${n}/I${k}`, files[k]!)
    }
  }
  return root
}
const dicom = (key: string) => ({
  kind: 'dicom',
  labels: { file: 'labels.csv', key, key_column: 'key', column: 'label', negative: ['none'] },
})

for (const key of ['series', 'accession', 'study'] as const)
  test(`a DICOM case is a series with the label of its ${key}, its instances in order of their paths`, async () => {
    const { cases } = await read(await archive(key), dicom(key))
    assert.deepEqual(
      cases.map(({ case_id, labels, images }) => [case_id, labels.tumour, images.length]),
      [0, 1].map((n) => [identity(n).series, n === 0 ? 1 : 0, 6]),
    )
    assert.deepEqual(cases[0]!.images, [...cases[0]!.images].sort())
  })

test('labels by instance say nothing of a series', async () => {
  await assert.rejects(read(await archive('series'), dicom('instance')), /write series, study or accession/)
})

test('with unit: study each series names its study, whose scores are combined', async () => {
  const { cases } = await read(await archive('study'), { ...dicom('study'), unit: 'study' })
  assert.deepEqual(
    cases.map(({ study_id }) => study_id),
    [identity(0).study, identity(1).study],
  )
})
