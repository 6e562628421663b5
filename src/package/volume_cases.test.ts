import assert from 'node:assert/strict'
import { test } from 'node:test'
import { casesOfFiles, isCaseFile, isVolumeFile, volumeCases } from './volume_cases.ts'

const plain = (path: string) => ({ path, start: new Uint8Array(132) })
const dicom = (path: string) => {
  const start = new Uint8Array(132)
  start.set(new TextEncoder().encode('DICM'), 128)
  return { path, start }
}
const ids = (found: ReturnType<typeof volumeCases>) => found.map(({ case_id, files }) => [case_id, files])

test('a NIfTI file is a case by itself where the package takes one channel', () => {
  assert.deepEqual(ids(volumeCases([plain('d/a_0000.nii.gz'), plain('d/b.nii')], 1)), [
    ['a_0000', ['d/a_0000.nii.gz']],
    ['b', ['d/b.nii']],
  ])
})

test('files that differ in their channel alone are one case, in the order of the channels', () => {
  const files = ['d/a_0001.nii.gz', 'd/b_0000.nii.gz', 'd/a_0000.nii.gz', 'd/whole.nii'].map(plain)
  assert.deepEqual(ids(volumeCases(files, 2)), [
    ['a', ['d/a_0000.nii.gz', 'd/a_0001.nii.gz']],
    ['b', ['d/b_0000.nii.gz']],
    ['whole', ['d/whole.nii']],
  ])
})

test('DICOM files of a folder without a UID of their series are one, whatever they are called', () => {
  const files = [dicom('p/t1/2'), plain('p/x.nii'), { ...dicom('p/t2/1.dcm'), root: 'p' }, dicom('p/t1/1')]
  const found = volumeCases(files, 1)
  assert.deepEqual(ids(found), [
    ['x', ['p/x.nii']],
    ['t1', ['p/t1/1', 'p/t1/2']],
    ['t2', ['p/t2/1.dcm']],
  ])
  assert.deepEqual(
    found.map(({ name }) => name),
    ['p/x.nii', 'p/t1', 'p/t2'],
  )
})

test('DICOM files go by their series, across folders and several in one; a broken one is a case by itself', () => {
  const of = (path: string, uid: string) => ({ ...dicom(path), root: 'd', series: { uid } })
  const broken = { ...dicom('d/flat/4.dcm'), root: 'd', series: 'unreadable' as const }
  const flat = [of('d/flat/1.dcm', '1'), of('d/flat/2.dcm', '2'), of('d/flat/3.dcm', '1'), broken]
  const apart = [of('d/disc/a/1', '3'), of('d/disc/b/2', '3')]
  const named = { ...dicom('d/one.dcm'), series: { uid: '4' } }
  const found = volumeCases([...flat, ...apart, named], 1)
  assert.deepEqual(
    found.map(({ case_id, name, files }) => [case_id, name, files.length]),
    [
      ['1', 'd/flat/1.dcm', 2],
      ['2', 'd/flat/2.dcm', 1],
      ['4', 'd/flat/4.dcm', 1],
      ['disc', 'd/disc', 2],
      ['one', 'd/one.dcm', 1],
    ],
  )
})

test('cases of one name keep the name of their folder', () => {
  assert.deepEqual(ids(volumeCases([plain('a/x.nii'), plain('b/x.nii.gz'), plain('x.nii')], 1)), [
    ['a_x', ['a/x.nii']],
    ['b_x', ['b/x.nii.gz']],
    ['x', ['x.nii']],
  ])
})

test('volumes are told by their name or their bytes; the contents of a medium are none', () => {
  assert.deepEqual(
    [plain('a.nii'), plain('a.NII.GZ'), dicom('IM1'), plain('a.txt'), dicom('p/DICOMDIR')].map(isVolumeFile),
    [true, true, true, false, false],
  )
})

test('a package of 2D images takes images by their bytes or names, and DICOM to refuse it; numbered frames stay cases of their own', () => {
  const image = (path: string) => ({ path, start: Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10) })
  const rgb = { channels: 3, distance_unit: 'px' } as const
  assert.deepEqual(
    [image('d/a'), plain('d/a.png'), plain('d/b.nii'), dicom('d/c')].map((file) => isCaseFile(file, rgb)),
    [true, true, false, true],
  )
  const frames = [3, 4, 5].map((n) => image(`d/frame_000${n}.png`))
  assert.deepEqual(
    ids(casesOfFiles(frames, rgb)),
    frames.map(({ path }) => [path.slice(2, -4), [path]]),
  )
  const colour = [0, 1, 2].map((n) => {
    const start = new Uint8Array(132)
    start.set([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10])
    start[25] = 2
    return { path: `d/f_000${n}.png`, start }
  })
  assert.equal(casesOfFiles(colour, rgb).length, 3, 'RGB is no channel')
  const pairs = ['d/a_0001.tif', 'd/a_0000.tif', 'd/b_0000.tif', 'd/c.tif', 'd/e_0001.tif'].map(image)
  assert.deepEqual(ids(casesOfFiles(pairs, { channels: 2, distance_unit: 'px' })), [
    ['a', ['d/a_0000.tif', 'd/a_0001.tif']],
    ['b', ['d/b_0000.tif']],
    ['c', ['d/c.tif']],
    ['e_0001', ['d/e_0001.tif']],
  ])
})
