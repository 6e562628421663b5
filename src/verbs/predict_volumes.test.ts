import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { parse } from 'csv-parse/sync'
import { encodeRaster } from '#raster'
import { decodeImage } from '../imaging/decode_image.ts'
import { readSegmentation } from '../imaging/dicom/seg_read.ts'
import { obliqueSeries } from '../imaging/dicom/testing/drawn_series.ts'
import { readNifti } from '../imaging/nifti/read.ts'
import { writeNifti } from '../imaging/nifti/write.ts'
import { readVolume } from '../imaging/read_volume.ts'
import { goldenVolumes } from '../package/golden_volume.ts'
import { TINY_IMAGE, TINY_VOLUME_SPEC, writeTinySegmenter } from '../package/testing/tiny_segmenter.ts'
import { drawnImage } from '../sources/raster_fixture.ts'
import { quietIo } from './io.ts'
import { predict } from './predict.ts'

let scratch = ''
let pkg = ''
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'fiducial-predict-volumes-'))
  pkg = join(scratch, 'pkg')
  await writeTinySegmenter(pkg)
})
after(() => rm(scratch, { recursive: true, force: true }))

async function folder(name: string, files: readonly Uint8Array[], ending = '.dcm'): Promise<string> {
  const dir = join(scratch, name)
  await mkdir(dir)
  for (const [i, bytes] of files.entries()) await writeFile(join(dir, `${i}${ending}`), bytes)
  return dir
}

test('a folder of a DICOM series gets its mask as NIfTI and, the same, as a DICOM Segmentation of that series', async () => {
  const { files, plan } = obliqueSeries()
  const out = join(scratch, 'out-series')
  const dir = await folder('series', files)
  const { predictions, failed } = await predict(pkg, [dir], { out }, quietIo())
  assert.deepEqual(failed, [])
  const { case_id, mask, mask_dicom, volumes_ml, warnings } = predictions[0]!
  assert.equal(case_id, 'series')
  assert.deepEqual([mask, mask_dicom], [join(out, 'series.nii.gz'), join(out, 'series.seg.dcm')])
  assert.deepEqual(warnings, [])
  const nifti = await readNifti(await readFile(mask!))
  // The values of the package's structures; its segments are numbered from 1.
  const read = await readSegmentation(await readFile(mask_dicom!), plan, { body: 2, tail: 5 })
  assert.deepEqual(read.volume.data, nifti.data)
  assert.deepEqual(nifti.shape, plan.shape)
  const voxel_ml = (0.75 * 0.5 * 2.5) / 1000
  for (const { name, voxels } of read.structures)
    assert.ok(Math.abs(voxels * voxel_ml - volumes_ml![name]!) < 1e-6, name)
  assert.ok(read.structures.some(({ voxels }) => voxels > 0))
  const [header, row]: string[][] = parse(await readFile(join(out, 'volumes.csv')))
  assert.equal(row![header!.indexOf('mask_dicom')], mask_dicom)
})

test('a NIfTI volume gets no DICOM mask', async () => {
  const { volume } = await readVolume(obliqueSeries().files)
  const dir = await folder('nifti', [await writeNifti(volume, { gzip: true })], '.nii.gz')
  const { predictions } = await predict(pkg, [dir], { out: join(scratch, 'out-nifti') }, quietIo())
  assert.equal(predictions[0]!.mask, join(scratch, 'out-nifti', '0.nii.gz'))
  assert.equal(predictions[0]!.mask_dicom, undefined)
})

test('a NIfTI pair is one case, of a folder and by the name of its header alone', async () => {
  const { volume } = await readVolume(obliqueSeries().files)
  const whole = await writeNifti(volume, { gzip: false })
  const header = whole.slice(0, 348)
  header[345] = 'i'.charCodeAt(0)
  new DataView(header.buffer).setFloat32(108, 0, true)
  const dir = join(scratch, 'pair')
  await mkdir(dir)
  await writeFile(join(dir, 'a.hdr'), header)
  await writeFile(join(dir, 'a.img'), whole.slice(352))
  const single = await folder('single', [whole], '.nii')
  const [expected] = (await predict(pkg, [single], {}, quietIo())).predictions
  for (const paths of [[dir], [join(dir, 'a.hdr')], [join(dir, 'a.img'), join(dir, 'a.hdr')]]) {
    const { predictions, failed } = await predict(pkg, paths, {}, quietIo())
    assert.deepEqual(failed, [])
    assert.deepEqual(
      predictions.map((one) => [one.case_id, one.volumes_ml]),
      [['a', expected!.volumes_ml]],
    )
  }
})

test('a series that no segmentation can refer to keeps its NIfTI mask, with a warning', async () => {
  const dir = await folder('unreferable', obliqueSeries({ FrameOfReferenceUID: '' }).files)
  const { predictions } = await predict(pkg, [dir], { out: join(scratch, 'out-unreferable') }, quietIo())
  const { mask, mask_dicom, warnings } = predictions[0]!
  assert.ok((await readFile(mask!)).length > 0)
  assert.equal(mask_dicom, undefined)
  assert.deepEqual(warnings, ['No DICOM segmentation was written: The series has no FrameOfReferenceUID.'])
})

test('instances that make no volume are listed as failed, with the reason', async () => {
  const { files } = obliqueSeries()
  const dir = await folder('gap', [...files.slice(0, 2), ...files.slice(3)])
  const { predictions, failed } = await predict(pkg, [dir], { out: join(scratch, 'out-gap') }, quietIo())
  assert.deepEqual(predictions, [])
  assert.equal(failed[0]!.file, dir)
  assert.match(failed[0]!.reason, /Slices are missing/)
})

test('channel files with a gap in their numbers are listed as failed, and stop nothing', async () => {
  const dir = join(scratch, 'channels')
  await mkdir(dir)
  const two = join(scratch, 'two-channels')
  const spec = {
    ...TINY_VOLUME_SPEC,
    channels: 2,
    intensity: [0, 1].map(() => ({ kind: 'zscore' }) as const),
  }
  await writeTinySegmenter(two, { spec })
  const [volume] = await goldenVolumes(TINY_VOLUME_SPEC, [16, 20, 12])
  for (const name of ['a_0000', 'a_0003', 'b_0000', 'b_0001'])
    await writeFile(join(dir, `${name}.nii.gz`), volume!.bytes)
  const { predictions, failed } = await predict(two, [dir], {}, quietIo())
  assert.deepEqual(
    predictions.map((one) => one.case_id),
    ['b'],
  )
  assert.equal(failed[0]!.file, join(dir, 'a_0000.nii.gz'))
  assert.match(failed[0]!.reason, /there is none for _0001/)
})

test('a folder of two series and a broken file: both are segmented, and the broken one is listed by its own name', async () => {
  const one = obliqueSeries().files
  const two = obliqueSeries({ SeriesInstanceUID: '1.2.3.77' }).files
  const dir = await folder('flat', [...one, ...two, one[0]!.subarray(0, 300)])
  const { predictions, failed } = await predict(pkg, [dir], { out: join(scratch, 'out-flat') }, quietIo())
  assert.deepEqual(
    predictions.map(({ file }) => file),
    [join(dir, '0.dcm'), join(dir, '10.dcm')],
  )
  assert.deepEqual(
    failed.map(({ file }) => file),
    [join(dir, `${one.length + two.length}.dcm`)],
  )
  const alone = await predict(pkg, [join(dir, '0.dcm')], {}, quietIo())
  assert.equal(alone.failed[0]!.file, join(dir, '0.dcm'))
})

test('a package of 2D images writes grey PNG masks of the size of each image, and counts pixels', async () => {
  const images = join(scratch, 'pkg-images')
  await writeTinySegmenter(images, TINY_IMAGE)
  const dir = join(scratch, 'pictures')
  await mkdir(join(dir, 'b'), { recursive: true })
  const [one, two] = [drawnImage(0, 3), drawnImage(2, 3)]
  await writeFile(join(dir, 'one.png'), await encodeRaster(one.image, 'png'))
  await writeFile(join(dir, 'b/turned.jpg'), await encodeRaster(two.image, 'jpeg', { orientation: 6 }))
  await writeFile(join(dir, 'grey.png'), await encodeRaster(drawnImage(0, 1).image, 'png'))
  const nifti = join(scratch, 'volume.nii.gz')
  await writeFile(nifti, (await goldenVolumes(TINY_VOLUME_SPEC, [16, 20, 12]))[0]!.bytes)
  const out = join(scratch, 'out-images')
  const { predictions, failed } = await predict(images, [dir, nifti], { out }, quietIo())
  assert.deepEqual(
    failed.map(({ reason }) => reason.split(';')[0]),
    ['The image has 1 channel', 'The file is a volume (nifti)'],
  )
  const sizes = { one: [38, 52], turned: [58, 38] }
  assert.deepEqual(predictions.map((found) => found.case_id).sort(), Object.keys(sizes))
  for (const { case_id, mask, areas_px, volumes_ml, decisions } of predictions) {
    assert.equal(mask, join(out, `${case_id}.png`))
    const { raster } = await decodeImage(await readFile(mask!), { exif_orientation: true })
    assert.deepEqual([raster.height, raster.width, raster.channels], [...sizes[case_id as 'one'], 1])
    const body = raster.data.filter((value) => value === 2).length
    assert.deepEqual([areas_px!.body, volumes_ml, decisions.body], [body, undefined, body > 0])
  }
  const broken = await folder(
    'broken',
    [new Uint8Array(0), new TextEncoder().encode('text '.repeat(99))],
    '.png',
  )
  await writeFile(join(broken, 'IM1'), obliqueSeries().files[0]!)
  const refused = await predict(images, [broken], {}, quietIo())
  assert.deepEqual(
    refused.failed.map((one) => [one.file, one.reason.split(/[.;(]/)[0]!.trim()]),
    [
      [join(broken, '0.png'), 'The file is empty'],
      [join(broken, '1.png'), 'The file is text, not an image'],
      [join(broken, 'IM1'), 'The file is DICOM'],
    ],
  )
  const [header] = parse(await readFile(join(out, 'volumes.csv'))) as string[][]
  assert.ok(header!.includes('body_px') && !header!.includes('body_ml'))
  const picture = await predict(pkg, [join(dir, 'one.png')], {}, quietIo())
  assert.match(picture.failed[0]!.reason, /is a 2D image \(png\); volumes are expected/)
})
