import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { greySlice } from '../imaging/dicom/testing/slices.ts'
import { DataConfig } from '../schema/data.ts'
import { Task } from '../schema/task.ts'
import { withoutIdentifiers } from './deidentify.ts'
import {
  dicomOf,
  identifiersOf,
  identity,
  radiographData,
  radiographPath,
  radiographs,
  writeBelow,
  writeRadiographs,
} from './dicom_fixture.ts'
import { readDicomTree } from './dicom_tree.ts'
import { readSource } from './read.ts'

let root: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'fiducial-dicom-'))
})
afterEach(() => rm(root, { recursive: true }))

const classify = Task.parse({ kind: 'classify', labels: ['nodule'] })
const read = (changes: object = {}, options: Parameters<typeof readSource>[4] = {}) =>
  readSource(DataConfig.parse(radiographData(root, changes)), classify, root, undefined, options)
const plain = (changes: object = {}) => read({ deidentify: false, ...changes })
const source = (changes: object) => ({ source: { ...radiographData(root).source, ...changes } })

test('every image is a case of its patient, with the label of its accession number and what its header says', async () => {
  await writeRadiographs(root, radiographs(3))
  const { cases, warnings, skipped } = await plain()
  assert.deepEqual(skipped, [])
  assert.deepEqual(warnings, ['3 files of other kinds than DICOM left alone.'])
  assert.equal(cases.length, 6)
  const one = cases.find(({ case_id }) => case_id === identity(1).instance(1))
  assert.deepEqual(one, {
    case_id: identity(1).instance(1),
    patient_id: identity(1).id,
    images: [radiographPath({ patient: 1, k: 1, seed: 0 })],
    labels: { nodule: 0 },
    attributes: { sex: 'M', age: 72, view: 'LL' },
  })
})

test('labels may be looked up by study or instance, and come as one column of names', async () => {
  await writeRadiographs(root, radiographs(2))
  const [a, b] = [identity(0), identity(1)]
  await writeFile(join(root, 'other.csv'), `uid,finding\n${a.study},nodule\n${b.study},none\n`)
  const labels = { file: 'other.csv', key: 'study', key_column: 'uid', column: 'finding', negative: ['none'] }
  const byStudy = await plain(source({ labels }))
  assert.deepEqual(byStudy.cases.map((one) => one.labels.nodule).sort(), [0, 0, 1, 1])
  await writeFile(join(root, 'other.csv'), `uid,finding\n${a.instance(1)},nodule\n1.2.3.4,none\n`)
  const byInstance = await plain(source({ labels: { ...labels, key: 'instance' } }))
  assert.deepEqual(
    byInstance.cases.map((one) => one.case_id),
    [a.instance(1)],
  )
  assert.deepEqual(byInstance.warnings.slice(1, 3), [
    '3 images without a row in the table of labels, by instance UID: left out.',
    '1 row of the table of labels without a file, by instance UID.',
  ])
})

test('a table that is about none of the files, or contradicts itself, is refused without naming anyone', async () => {
  await writeRadiographs(root, radiographs(2))
  const fails = async (text: string, reason: RegExp) => {
    await writeFile(join(root, 'labels.csv'), text)
    await assert.rejects(read(), (error: Error) => {
      assert.match(error.message, reason)
      for (const known of identifiersOf(2)) assert(!error.message.includes(known), known)
      return true
    })
  }
  await fails('accession_number,nodule\nACC-1,1\n', /No row of the table of labels/)
  const { accession } = identity(0)
  await fails(`accession_number,nodule\n${accession},1\n${accession},0\n`, /1 row .* contradicts .*: line 3/)
})

test('de-identified cases go by salted hashes, which stay while the salt does', async () => {
  await writeRadiographs(root, radiographs(3))
  const privateFolder = { path: join(root, '../', `${root.split('/').at(-1)}-private`), mayWrite: true }
  try {
    const first = await read({}, { privateFolder })
    const again = await read({}, { privateFolder })
    assert.deepEqual(again.cases, first.cases)
    for (const { case_id, patient_id } of first.cases) {
      assert.match(case_id, /^[a-z2-7]{16}$/)
      assert.match(patient_id, /^[a-z2-7]{16}$/)
    }
    assert.equal(new Set(first.cases.map((one) => one.case_id)).size, 6)
    assert.equal(new Set(first.cases.map((one) => one.patient_id)).size, 3)
    for (const name of ['salt', 'dicom_headers.jsonl'])
      assert.equal((await stat(join(privateFolder.path, name))).mode & 0o777, 0o600)
    assert.equal((await stat(privateFolder.path)).mode & 0o777, 0o700)
    const other = await read()
    assert.notEqual(other.cases[0]!.case_id, first.cases[0]!.case_id)
    await writeFile(join(privateFolder.path, 'salt'), 'x'.repeat(80))
    await assert.rejects(read({}, { privateFolder }), /should hold the salt/)
  } finally {
    await rm(privateFolder.path, { recursive: true })
  }
})

test('without leave to write, nothing is kept', async () => {
  await writeRadiographs(root, radiographs(1))
  const path = join(root, 'private')
  await read({}, { privateFolder: { path, mayWrite: false } })
  await assert.rejects(stat(path))
})

test('an age over 89 is 90', async () => {
  const ages = { '089Y': 89, '090Y': 90, '104Y': 90, '011M': 0 }
  const images = Object.keys(ages).map((age, k) => ({
    patient: k,
    k: 0,
    seed: k,
    changes: { PatientAge: age },
  }))
  await writeRadiographs(root, images)
  const found = (await read()).cases.map((one) => one.attributes.age)
  assert.deepEqual(found.sort(), Object.values(ages).sort())
})

test('images that may show names are quarantined unless allowed', async () => {
  const kinds = [
    { BurnedInAnnotation: 'YES' },
    { BurnedInAnnotation: 'NO' },
    { Modality: 'US' },
    { Modality: 'US', BurnedInAnnotation: 'NO' },
    { SOPClassUID: '1.2.840.10008.5.1.4.1.1.7' },
  ]
  await writeRadiographs(
    root,
    kinds.map((changes, patient) => ({ patient, k: 0, seed: patient, changes })),
  )
  const { cases, skipped } = await read()
  assert.equal(cases.length, 2)
  assert.deepEqual(skipped.map(({ reason }) => reason.split('. ')[0]).sort(), [
    'The file says that text is burned into the image (BurnedInAnnotation)',
    'The image is a secondary capture, in which text is often burned in, and the file does not say otherwise',
    'The image is of modality US, in which text is often burned in, and the file does not say otherwise',
  ])
  for (const { file, case_id } of skipped) {
    assert.match(file, /^[a-z2-7]{16}$/)
    assert.equal(case_id, file)
  }
  assert.equal((await read({ allow_burned_in: true })).cases.length, 5)
})

test('damaged files are listed, repeats and files of several frames are left out and counted', async () => {
  await writeRadiographs(root, radiographs(2))
  const bytes = await readFile(join(root, radiographPath({ patient: 0, k: 0, seed: 1 })))
  await writeBelow(root, 'copy/again.dcm', bytes)
  await writeBelow(root, 'broken/Quillfeather.dcm', bytes.subarray(0, 400))
  const frames = {
    NumberOfFrames: 2,
    PixelData: new Uint8Array(2 * 20 * 24),
    SOPInstanceUID: '1.2.3.4.5.6.7',
  }
  await writeRadiographs(root, [{ patient: 1, k: 5, seed: 1, changes: frames }])
  await writeRadiographs(root, radiographs(2))
  const { cases, skipped, warnings } = await read()
  assert.equal(cases.length, 4)
  assert.equal(skipped.length, 1)
  assert.match(skipped[0]!.reason, /cut short or damaged|cut within|ends within/)
  assert(!JSON.stringify({ ...skipped[0], path: '' }).includes('Quillfeather'))
  assert.equal(skipped[0]!.path, 'broken/Quillfeather.dcm')
  assert.match(warnings.join('\n'), /1 file of several frames left out/)
  assert.match(warnings.join('\n'), /1 file with the SOP instance UID of another left out/)
})

test('images are chosen by modality and series description', async () => {
  await writeRadiographs(root, [
    { patient: 0, k: 0, seed: 0 },
    { patient: 1, k: 0, seed: 1, changes: { Modality: 'CR', SeriesDescription: 'Chest PA' } },
    { patient: 2, k: 0, seed: 2, changes: { Modality: 'CR', SeriesDescription: 'Hand' } },
  ])
  const chosen = await plain(source({ select: { modality: ['CR'], description: '^chest' } }))
  assert.deepEqual(
    chosen.cases.map((one) => one.patient_id),
    [identity(1).id],
  )
  await assert.rejects(plain(source({ select: { description: '(' } })), /is not a regular expression/)
})

test('a second look opens no file that did not change', async () => {
  await writeRadiographs(root, radiographs(2))
  const privateFolder = { path: join(root, '.private'), mayWrite: true }
  const first = await readDicomTree(root, { privateFolder })
  // Other bytes of the same length under the same stamp: only who looks into the file sees them.
  const path = join(root, radiographPath({ patient: 0, k: 0, seed: 1 }))
  const { atime, mtime, size } = await stat(path)
  await utimes(path, atime, new Date(Math.floor(mtime.getTime() / 1000) * 1000))
  await readDicomTree(root, { privateFolder })
  await writeFile(path, new Uint8Array(size))
  await utimes(path, atime, new Date(Math.floor(mtime.getTime() / 1000) * 1000))
  assert.deepEqual(await readDicomTree(root, { privateFolder }), first)
  await utimes(path, atime, new Date())
  assert.equal((await readDicomTree(root, { privateFolder })).files.length, 3)
})

test('a header behind a long element is read further', async () => {
  const icon = new Uint8Array(2 ** 17)
  await writeBelow(
    root,
    'a',
    dicomOf(0, {
      SOPClassUID: '1.2.840.10008.5.1.4.1.1.1.1',
      SOPInstanceUID: '1.2.3.4',
      Modality: 'DX',
      RedPaletteColorLookupTableData: icon.subarray(0, 2 ** 16 - 2),
      GreenPaletteColorLookupTableData: icon.subarray(0, 2 ** 16 - 2),
      SamplesPerPixel: 1,
      PhotometricInterpretation: 'MONOCHROME2',
      Rows: 2,
      Columns: 3,
      BitsAllocated: 8,
      BitsStored: 8,
      HighBit: 7,
      PixelRepresentation: 0,
      PixelData: new Uint8Array(6),
    }),
  )
  const { files, unreadable } = await readDicomTree(root)
  assert.deepEqual(unreadable, [])
  assert.equal(files[0]!.header.frames, 1)
})

test('of volumes a case is a series of enough slices', async () => {
  for (let n = 1; n <= 4; n++) {
    await writeBelow(root, `a/${n}`, greySlice({ InstanceNumber: n }))
    if (n <= 2)
      await writeBelow(
        root,
        `b/${n}`,
        greySlice({ InstanceNumber: n, SeriesInstanceUID: '1.2.9', SOPInstanceUID: `1.2.9.${n}` }),
      )
  }
  const task = Task.parse({ kind: 'segment', labels: { organ: 1 } })
  const data = (min_slices: number) =>
    DataConfig.parse({ root, source: { kind: 'dicom', select: { min_slices } }, deidentify: false })
  await writeFile(join(root, 'labels.csv'), 'series,nodule\n1.2.3.4,1\n1.2.9,0\n')
  const labels = { file: 'labels.csv', key: 'series', key_column: 'series', columns: { nodule: 'nodule' } }
  const series = await readSource(
    DataConfig.parse({ root, source: { kind: 'dicom', labels }, deidentify: false }),
    classify,
    root,
    undefined,
    { isOfVolumes: true },
  )
  assert.deepEqual(
    series.cases.map(({ case_id, images, labels }) => [case_id, images.length, labels.nodule]),
    [
      ['1.2.3.4', 4, 1],
      ['1.2.9', 2, 0],
    ],
  )
  await assert.rejects(readSource(data(3), task, root), /No case was found/)
})

test('a reason keeps what helps and leaves out paths, values of elements, names of structures, UIDs and dates', () => {
  const reason =
    'The DICOM element PatientID (0010,0020) is "Quill\\"feather", not a number.\n  at: /data/Quillfeather/1.dcm\n  do: copy it again.'
  assert.equal(
    withoutIdentifiers(reason, []),
    'The DICOM element PatientID (0010,0020) is not a number.\n  do: copy it again.',
  )
  assert.equal(
    withoutIdentifiers('There is no a/Q.dcm in /r/a: 1.2.840.10008.1.2, 20191231, 2019-12-31, 2.50 mm', [
      'a/Q.dcm',
      '/r/a',
    ]),
    'There is no (file) in (file): (UID), (date), (date), 2.50 mm',
  )
  assert.equal(
    withoutIdentifiers('The file has no structure "organ"; it has "GTV of Q.".\n  do: that', []),
    'The file has no structure "organ".\n  do: that',
  )
  assert.equal(
    withoutIdentifiers('Contours of "GTV \\"Q\\"" lie halfway between slices.', []),
    'Contours of a structure lie halfway between slices.',
  )
})
