import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { encodeRaster } from '#raster'
import { readNifti } from '../imaging/nifti/read.ts'
import { writeNifti } from '../imaging/nifti/write.ts'
import type { Volume, Voxels } from '../imaging/volume.ts'
import { segmentTable } from '../report/segment_table.ts'
import { SegmentEvaluation } from '../schema/evaluation_segment.ts'
import { drawnImage } from '../sources/raster_fixture.ts'
import { type EvaluateMasksOptions, evaluateMasks, type MaskFolders } from './evaluate_masks.ts'
import { quietIo } from './io.ts'

const HIPPOCAMPUS = join(import.meta.dirname, '../../../shared/data/Task04_Hippocampus')
const skip = existsSync(HIPPOCAMPUS) ? false : 'no ../shared/data/Task04_Hippocampus'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-masks-'))
})
afterEach(() => rm(dir, { recursive: true }))

const shape = [5, 6, 9] as const
// Columns are array z, y, x: 3, 0.7 and 1.1 mm, x running to the left.
const affine = [0, 0, -1.1, 20, 0, 0.7, 0, -30, 3, 0, 0, 5, 0, 0, 0, 1]

/** A box of one value. */
function box(value: number, x0: number, changes: Partial<Volume> = {}): Volume {
  const data = new Uint8Array(5 * 6 * 9)
  for (let z = 1; z < 4; z++)
    for (let y = 1; y < 5; y++) for (let x = x0; x < x0 + 4; x++) data[(z * 6 + y) * 9 + x] = value
  return { data, channels: 1, shape, affine, ...changes }
}

async function writeMask(path: string, volume: Volume): Promise<void> {
  await mkdir(join(dir, path, '..'), { recursive: true })
  await writeFile(join(dir, path), await writeNifti(volume, { gzip: path.endsWith('.gz') }))
}

const evaluateFolders = (folders: Partial<MaskFolders> = {}, options: Partial<EvaluateMasksOptions> = {}) =>
  evaluateMasks(
    { predictions: join(dir, 'predicted'), labels: join(dir, 'labels'), ...folders },
    { split: 'all', set: ['evaluate.bootstrap=100'], ...options },
    quietIo(),
  )

async function writePairs(...cases: [id: string, prediction: Volume, reference: Volume][]): Promise<void> {
  for (const [id, prediction, reference] of cases) {
    await writeMask(`predicted/${id}.nii.gz`, prediction)
    await writeMask(`labels/${id}.nii.gz`, reference)
  }
}

test('masks are paired by name and measured in mm; .nii and .nii.gz are the same name, other files are passed over', async () => {
  await writeMask('labels/a.nii', box(1, 2))
  await writeMask('predicted/a.nii.gz', box(1, 3))
  await writeFile(join(dir, 'predicted/plans.json'), '{}')
  await writeFile(join(dir, 'predicted/._a.nii.gz'), 'not an image')
  const evaluation = await evaluateFolders()
  assert.deepEqual(SegmentEvaluation.parse(evaluation), evaluation)
  assert.deepEqual(evaluation.task.labels, { 1: [1] })
  const { dice, hd95_mm } = evaluation.per_case[0]!.per_label['1']!
  assert.equal(dice, 0.75)
  assert.ok(Math.abs(hd95_mm! - 1.1) < 1e-6)
  assert.match(evaluation.warnings.join(), /every case counts as its own patient/)
})

test('names give labels and regions; values that they leave out are told', async () => {
  const two = box(2, 2)
  two.data[(1 * 6 + 1) * 9 + 2] = 7
  await writePairs(['a', two, two], ['b', box(1, 2), box(3, 2)])
  const { per_label, warnings } = await evaluateFolders({ names: { whole: [1, 2, 3], core: [3] } })
  assert.equal(per_label.whole!.found, 2)
  assert.deepEqual([per_label.core!.missed, per_label.core!.correctly_absent], [1, 1])
  assert.match(warnings.join(), /1 reference has voxels of no named label \(7\)/)
  assert.match(warnings.join(), /1 prediction has voxels of no named label \(7\)/)
})

test('without names the references say what is to be found; what only predictions have is told', async () => {
  await writePairs(['a', box(9, 2), box(1, 2)], ['b', box(1, 2), box(2, 2)])
  const { per_label, warnings } = await evaluateFolders()
  assert.deepEqual(Object.keys(per_label), ['1', '2'])
  assert.deepEqual([per_label['1']!.missed, per_label['1']!.falsely_present], [1, 1])
  assert.match(warnings.join(), /Predictions have voxels of 9, which no reference has/)
})

test('a table of cases gives patients and subgroups', async () => {
  await writePairs(['a', box(1, 2), box(1, 2)], ['b', box(1, 3), box(1, 2)], ['c', box(1, 4), box(1, 2)])
  await writeFile(
    join(dir, 'cases.csv'),
    'case_id,patient_id,site\na,P,north\nb,P,north\nc,Q,south\nz,R,south\n',
  )
  const evaluation = await evaluateFolders({ cases: join(dir, 'cases.csv') }, { subgroups: ['site'] })
  assert.deepEqual([evaluation.cases, evaluation.patients, evaluation.bootstrap.clusters], [3, 2, 'patient'])
  assert.deepEqual(
    evaluation.subgroups.map(({ value, cases, patients }) => [value, cases, patients]),
    [
      ['north', 2, 1],
      ['south', 1, 1],
    ],
  )
  await writeFile(join(dir, 'cases.csv'), 'case_id,patient_id\na,P\na,P\nb,\n')
  await assert.rejects(evaluateFolders({ cases: join(dir, 'cases.csv') }), (error: Error) => {
    for (const words of ['1 mask without a row: c', '1 case there twice: a', '1 case without patient_id: b'])
      assert.ok(error.message.includes(words), error.message)
    return true
  })
  await assert.rejects(evaluateFolders({}, { subgroups: ['site'] }), /--cases cases.csv/)
})

test('a mask without its counterpart is refused, on either side: leaving cases out must be done on purpose', async () => {
  await writePairs(['a', box(1, 2), box(1, 2)])
  await writeMask('labels/b.nii.gz', box(1, 2))
  await writeMask('predicted/extra.nii.gz', box(1, 2))
  await assert.rejects(evaluateFolders(), (error: Error) => {
    assert.match(error.message, /1 reference without a prediction: b/)
    assert.match(error.message, /1 prediction without a reference: extra/)
    assert.match(error.message, /write an empty mask where nothing was found/)
    return true
  })
})

test('masks that cannot be compared are all named, with their numbers', async () => {
  const moved = affine.with(3, 21.5)
  const sheared = affine.with(2, -1.1).with(0, 0.5)
  const small = box(1, 2, { data: new Uint8Array(5 * 6 * 8), shape: [5, 6, 8] })
  const float = (value: number): Voxels => Float32Array.from(box(1, 2).data, (v) => v * value)
  await writePairs(
    ['affine', box(1, 2, { affine: moved }), box(1, 2)],
    ['channels', box(1, 2, { data: new Uint8Array(2 * 270), channels: 2 }), box(1, 2)],
    ['fraction', box(1, 2, { data: float(0.5) }), box(1, 2)],
    ['good', box(1, 2), box(1, 2)],
    ['shape', small, box(1, 2)],
    ['shear', box(1, 2, { affine: sheared }), box(1, 2, { affine: sheared })],
  )
  await writeFile(join(dir, 'predicted/good.nii.gz'), 'no NIfTI')
  await assert.rejects(evaluateFolders(), (error: Error) => {
    for (const words of [
      '6 cases of 6 cannot be measured',
      'affine: Prediction and reference lie up to 1.50 mm apart',
      'channels: The mask has 2 channels',
      'fraction: A voxel is 0.5',
      'good: ',
      'shape: The prediction has 5 × 6 × 8 voxels, the reference 5 × 6 × 9',
      'shear: The axes of its grid are not at right angles',
    ])
      assert.ok(error.message.includes(words), `${words} in ${error.message}`)
    return true
  })
})

test('affines that differ by the last digits of 32-bit floats are the same grid', async () => {
  await writePairs([
    'a',
    box(1, 2, { affine: affine.map((v, i) => (i < 12 ? v * (1 + 3e-7) : v)) }),
    box(1, 2),
  ])
  assert.equal((await evaluateFolders()).metrics.dice_mean!.value, 1)
})

test('folders that are empty or hold no reference voxel say what to do', async () => {
  await mkdir(join(dir, 'labels'))
  await assert.rejects(evaluateFolders({ predictions: join(dir, 'labels') }), /There is no mask here/)
  const empty = box(0, 2)
  await writePairs(['a', empty, empty])
  await assert.rejects(evaluateFolders(), /Every reference is empty.*\n.*--names lesion=1/)
  const { per_label } = await evaluateFolders({ names: { lesion: [1] } })
  assert.equal(per_label.lesion!.correctly_absent, 1)
})

test('with a folder to write to there is a report, with outlines over the images where they fit', async () => {
  const image = (values: Partial<Volume> = {}): Volume => ({
    ...box(1, 2),
    data: Int16Array.from({ length: 270 }, (_, i) => i - 100),
    ...values,
  })
  await writePairs(['a', box(1, 3), box(1, 2)], ['b', box(1, 2), box(1, 2)])
  await writeMask('images/a_0000.nii.gz', image())
  await writeMask('images/b.nii.gz', image({ data: new Int16Array(4 * 6 * 9), shape: [4, 6, 9] }))
  const out = join(dir, 'out')
  const evaluation = await evaluateFolders({ images: join(dir, 'images') }, { out })
  assert.deepEqual(JSON.parse(await readFile(join(out, 'evaluation.json'), 'utf8')), evaluation)
  const page = await readFile(join(out, 'report.html'), 'utf8')
  assert.equal(page.match(/<img alt="outlines of case/g)?.length, 2)
  assert.match(page, /Drawn without their image, whose grid is not that of the masks: b/)
  // Slices are 3 mm thick, and their array axis is the body's: they are axial.
  assert.match(page, /a, axial slice \d of 5/)
})

test('a signal stops the measuring and nothing is written', async () => {
  await writePairs(['a', box(1, 2), box(1, 2)])
  const io = { ...quietIo(), signal: AbortSignal.abort() }
  const folders = { predictions: join(dir, 'predicted'), labels: join(dir, 'labels') }
  await assert.rejects(evaluateMasks(folders, { split: 'all', out: join(dir, 'out') }, io), { exitCode: 75 })
  assert.equal(existsSync(join(dir, 'out')), false)
})

test('real references agree fully with themselves', { skip }, async () => {
  const labels = join(HIPPOCAMPUS, 'labelsTr')
  const names = { Anterior: [1], Posterior: [2] }
  const evaluation = await evaluateFolders({ predictions: labels, labels, names })
  assert.equal(evaluation.cases, 60)
  for (const { dice, surface_dice, hd95_mm, found } of Object.values(evaluation.per_label))
    assert.deepEqual([dice.value, surface_dice.value, hd95_mm.value, found], [1, 1, 0, 60])
})

test('real references moved by one voxel: HD95 is 1 mm, and all of the surface is within it', {
  skip,
}, async () => {
  const labels = join(HIPPOCAMPUS, 'labelsTr')
  const ids = ['hippocampus_006', 'hippocampus_026', 'hippocampus_035']
  for (const id of ids) {
    const reference = await readNifti(await readFile(join(labels, `${id}.nii.gz`)))
    const moved = reference.data.map((_, i) => reference.data[i - 1] ?? 0)
    await writePairs([id, { ...reference, data: moved as Voxels }, reference])
  }
  const evaluation = await evaluateFolders({ names: { Anterior: [1], Posterior: [2] } })
  for (const { per_label } of evaluation.per_case)
    for (const metrics of Object.values(per_label)) {
      assert.ok(metrics.dice! > 0.7 && metrics.dice! < 0.95)
      assert.deepEqual([metrics.hd95_mm, metrics.surface_dice, metrics.volume_error_ml], [1, 1, 0])
    }
})

test('masks of 2D images, PNG or TIFF, are measured in pixels, and every place that tells a length says so', async () => {
  for (const folder of ['predicted', 'labels', 'images']) await mkdir(join(dir, folder))
  for (const n of [0, 1, 2]) {
    const { name, image, mask } = drawnImage(n, 3)
    const shifted = { ...mask, data: mask.data.map((_, i) => (i % mask.width < 2 ? 0 : mask.data[i - 2]!)) }
    await writeFile(join(dir, `labels/${name}.png`), await encodeRaster(mask, 'png'))
    await writeFile(join(dir, `predicted/${name}.tif`), await encodeRaster(shifted, 'tiff'))
    await writeFile(join(dir, `images/${name}_0000.png`), await encodeRaster(image, 'png'))
  }
  const out = join(dir, 'out')
  const evaluation = await evaluateFolders(
    { names: { ellipse: [255] }, images: join(dir, 'images') },
    { out },
  )
  assert.deepEqual(SegmentEvaluation.parse(evaluation), evaluation)
  assert.equal(evaluation.distance_unit, 'px')
  for (const { per_label } of evaluation.per_case) {
    const { hd95_mm, reference_ml, volume_error_ml } = per_label.ellipse!
    assert.equal(hd95_mm, 2, 'moved by two pixels')
    assert.ok(Number.isInteger(Math.round(reference_ml * 1e6) / 1e3), 'thousands of whole pixels')
    assert.equal(volume_error_ml, 0)
  }
  const report = await readFile(join(out, 'report.html'), 'utf8')
  assert.match(report, /surface Dice at 1 px/)
  assert.match(report, /know no millimetres: all lengths are pixels/)
  assert.doesNotMatch(report, /\d mm|HD95<br>mm|\d ml|axial/)
  assert.match(segmentTable(evaluation), /surface Dice \(1 px\) +HD95 in px +volume error in 1,000 px/)

  await writeFile(join(dir, 'predicted/drawn_001.tif'), await encodeRaster(drawnImage(2, 3).mask, 'tiff'))
  await assert.rejects(evaluateFolders(), /The prediction has 1 × 38 × 58 voxels, the reference 1 × 38 × 55/)
})

test('a volume among images is refused: their lengths are of two kinds', async () => {
  await writePairs(['a', box(1, 2), box(1, 2)])
  for (const folder of ['predicted', 'labels'])
    await writeFile(join(dir, folder, 'b.png'), await encodeRaster(drawnImage(0, 1, 1).mask, 'png'))
  await assert.rejects(evaluateFolders(), /2D image among volumes/)
})
