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

test('channel files that are not numbered 0 to the last, once each, make a case that fails with what is wrong', () => {
  const problemOf = (channels: number, ...files: string[]) => {
    const found = volumeCases(files.map(plain), channels)
    assert.equal(found.length, 1)
    return found[0]!.problem ?? null
  }
  assert.match(
    problemOf(2, 'a_0003.nii', 'a_0000.nii')!,
    /end in _0000, _0003; .* takes 2 channels, _0000 to _0001, and there is none for _0001[\s\S]*do: /,
  )
  assert.match(problemOf(2, 'a_0000.nii', 'a_0000.nii.gz')!, /two are _0000/)
  assert.match(problemOf(2, 'a_0000.nii', 'a_0001.nii', 'a_0002.nii')!, /_0002 is one too many/)
  assert.match(problemOf(3, 'a_0000.nii', 'a_0002.nii')!, /there is none for _0001/)
  assert.equal(problemOf(2, 'a_0001.nii', 'a_0000.nii.gz'), null)
  assert.equal(problemOf(2, 'case_0003.nii'), null, 'a file by itself may hold all channels')
})

test('a header with its voxels in a file beside it is one file of a case, and comes first', () => {
  const files = ['d/b.img', 'd/b.hdr', 'd/a_0001.img', 'd/a_0001.hdr', 'd/a_0000.nii', 'd/c.img'].map(plain)
  assert.deepEqual(ids(volumeCases(files, 2)), [
    ['b', ['d/b.hdr', 'd/b.img']],
    ['a', ['d/a_0000.nii', 'd/a_0001.hdr', 'd/a_0001.img']],
    ['c.img', ['d/c.img']],
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
  const image = (path: string) => ({ path, start: Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10) })
  const found = casesOfFiles(['x/p/1.png', 'y/p/1.png', 'd/a.png', 'd/a.jpg'].map(image), {
    channels: 1,
    distance_unit: 'px',
  })
  assert.deepEqual(
    found.map(({ case_id }) => case_id),
    ['x_p_1', 'y_p_1', 'a.png', 'a.jpg'],
  )
  const within = (path: string) => ({ ...dicom(path), root: '.' })
  const series = [within('a/t1/1'), within('b/t1/1'), within('b/t1/2'), plain('b/t1.nii')]
  assert.deepEqual(
    volumeCases(series, 1).map(({ case_id }) => case_id),
    ['t1.nii', 'a_t1', 'b_t1'],
  )
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
