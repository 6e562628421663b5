import assert from 'node:assert/strict'
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, before, test } from 'node:test'
import { decodeRaster } from '#raster'
import { reorient } from '../imaging/geometry/orientation.ts'
import { readNifti } from '../imaging/nifti/read.ts'
import { writeNifti } from '../imaging/nifti/write.ts'
import { type CsvSource, PhantomVolumesSource } from '../schema/data.ts'
import { planPhantomVolumes } from '../sources/phantom_volumes_plan.ts'
import { ensurePhantomVolumes } from '../sources/phantom_volumes_write.ts'
import { volumeFiles } from '../sources/volume_layout_fixture.ts'
import { init } from './init.ts'
import { inspect } from './inspect.ts'
import type { Io } from './io.ts'
import { loadRecipe } from './load_recipe.ts'

const dir = await mkdtemp(join(tmpdir(), 'fiducial-volumes-at-hand-'))
after(() => rm(dir, { recursive: true }))
const phantom = join(dir, 'Phantom')
const source = PhantomVolumesSource.parse({ kind: 'phantom_volumes', patients: 8, voxel_mm: 6 })
const planned = planPhantomVolumes(source)
const sick = planned.filter((one) => one.lesion !== null).length
before(() => ensurePhantomVolumes(source, phantom))

const io: Io = { log() {}, now: () => new Date(), signal: new AbortController().signal } as unknown as Io
const start = async (target: string) => {
  const out = join(dir, `${basename(target)}.yaml`)
  const result = await init(target, { out, force: true, dryRun: false }, io)
  return { result, ...(await loadRecipe(out)) }
}

test("init writes a recipe of a Decathlon folder: labels, folds, patients by their ids, and that it's synthetic", async () => {
  const { result, recipe } = await start(phantom)
  assert.deepEqual([result.source, result.synthetic, result.cases], ['decathlon', true, planned.length])
  assert.equal(result.patients, 8)
  assert.deepEqual(result.labels.Lesion, { positive: sick, negative: planned.length - sick, unknown: 0 })
  assert.deepEqual(recipe.task, { kind: 'segment', labels: { Organ: 1, Lesion: 2 } })
  assert.deepEqual(recipe.data.split, { folds: 5, fold: 0, seed: 0 })
  assert.equal(recipe.prepare.kind, 'volume')
  assert.match(result.text, /SYNTHETIC[\s\S]*8 patients/)
})

test('the recipe that init wrote is inspected: the same patients, and a split in which each stands once', async () => {
  await start(phantom)
  const found = await inspect(join(dir, 'Phantom.yaml'), {}, io)
  assert.deepEqual([found.cases, found.patients, found.split_kind], [planned.length, 8, 'folds'])
  assert.deepEqual(found.leaks, [])
})

test('init tells nnU-Net by the channels at the ends of the names, with the folds of splits_final.json', async () => {
  const root = join(dir, 'Dataset001')
  await writeNnUNet(root)
  const { result, recipe } = await start(root)
  assert.equal(recipe.data.source.kind, 'nnunet')
  assert.ok(result.recognised.some((line) => line.includes('splits_final.json')))
  assert.deepEqual(recipe.data.split, { folds: 3, fold: 0, seed: 0 })
  assert.equal((await inspect(join(dir, 'Dataset001.yaml'), {}, io)).split_kind, 'folds')
})

test('init takes a table of volumes and masks, a column of each channel, and asks what its values mean', async () => {
  const root = join(dir, 'Table')
  for (const folder of ['scans', 'masks']) await mkdir(join(root, folder), { recursive: true })
  const rows = ['t1,flair,mask,patient,sex']
  for (let n = 0; n < 6; n++) {
    const { image, mask } = await volumeFiles({
      name: `p${n}`,
      mask: { values: n === 0 ? [0, 2] : [0, 2, 7] },
    })
    for (const name of ['t1', 'flair']) await writeFile(join(root, `scans/p${n}_${name}.nii.gz`), image)
    await writeFile(join(root, `masks/p${n}.nii.gz`), mask)
    rows.push(`scans/p${n}_t1.nii.gz,scans/p${n}_flair.nii.gz,masks/p${n}.nii.gz,${n >> 1},${'fm'[n % 2]}`)
  }
  await writeFile(join(root, 'cases.csv'), rows.join('\n'))
  const { result, recipe } = await start(root)
  const { kind, image, mask, patient } = recipe.data.source as CsvSource
  assert.deepEqual([kind, image, mask, patient], ['csv', ['t1', 'flair'], 'mask', 'patient'])
  assert.deepEqual(recipe.task, { kind: 'segment', labels: { label_2: 2, label_7: 7 } })
  assert.deepEqual([result.cases, result.patients], [6, 3])
  assert.deepEqual(result.labels.label_7, { positive: 5, negative: 1, unknown: 0 })
  assert.match(result.text, /# 6 volumes of 3 patients[\s\S]*nothing says what the values of masks mean/)
  const { volumes, warnings } = await inspect(join(dir, 'Table.yaml'), {}, io)
  assert.deepEqual([volumes!.channels, volumes!.distance_unit], [2, undefined])
  assert.deepEqual(warnings, [])
})

test('values named as in BraTS become its nested regions, the outermost first', async () => {
  const root = join(dir, 'Brats')
  await mkdir(root)
  for (const folder of ['imagesTr', 'labelsTr']) await mkdir(join(root, folder))
  await writeCase(root, 'a', { image: [3, 4, 5], mask: [3, 4, 5], values: [0, 1, 2, 4] })
  await writeJson(root, { 0: 'background', 1: 'necrotic core', 2: 'edema', 4: 'enhancing tumor' }, ['a'])
  const { recipe, result } = await start(root)
  assert.deepEqual(recipe.task, { kind: 'segment', regions: { WT: [1, 2, 4], TC: [1, 4], ET: [4] } })
  assert.ok(result.please_check.some((line) => line.includes('BraTS')))
})

test('inspect of a folder gives geometry, orientations and the volume of each structure where it is present', async () => {
  const { volumes, labels, synthetic, images } = await inspect(phantom, {}, io)
  assert.ok(volumes)
  assert.deepEqual([synthetic, images], [true, null])
  assert.deepEqual(labels.Organ, { positive: planned.length, negative: 0, unknown: 0 })
  assert.deepEqual(volumes.modalities, ['phantom A', 'phantom B'])
  const stored = planned.map((one) => one.orientation)
  assert.deepEqual(
    volumes.orientations,
    Object.fromEntries([...new Set(stored)].map((one) => [one, stored.filter((s) => s === one).length])),
  )
  assert.ok(volumes.spacing_mm.min.every((mm) => Math.abs(mm - 6) < 1e-3))
  const truth = planned.map((one) => one.volumes_ml.Organ).sort((a, b) => a - b)
  assert.ok(Math.abs(volumes.volume_ml.Organ!.median - truth[truth.length >> 1]!) < 2)
})

test('inspect names masks that do not fit their image or are stored in another orientation, values that nobody named, and files that cannot be read', async () => {
  const root = join(dir, 'Odd')
  await mkdir(root)
  for (const folder of ['imagesTr', 'labelsTr']) await mkdir(join(root, folder))
  await writeCase(root, 'fine', { image: [3, 4, 5], mask: [3, 4, 5], values: [0, 1] })
  await writeCase(root, 'shape', { image: [3, 4, 5], mask: [3, 4, 6], values: [0, 1] })
  await writeCase(root, 'value', { image: [3, 4, 5], mask: [3, 4, 5], values: [0, 7] })
  await writeFile(join(root, 'imagesTr', 'broken.nii.gz'), 'no volume')
  await copyFile(join(root, 'labelsTr', 'fine.nii.gz'), join(root, 'labelsTr', 'broken.nii.gz'))
  await writeCase(root, 'turned', { image: [3, 4, 5], mask: [3, 4, 5], values: [0, 1] })
  const turned = join(root, 'labelsTr', 'turned.nii.gz')
  const mask = reorient(await readNifti(await readFile(turned)), 'LPS')
  await writeFile(turned, await writeNifti(mask, { gzip: true }))
  await writeJson(root, { 0: 'background', 1: 'liver' }, ['fine', 'shape', 'value', 'broken', 'turned'])
  const { warnings, labels } = await inspect(root, {}, io)
  assert.deepEqual(labels.liver, { positive: 2, negative: 1, unknown: 2 })
  const text = warnings.join('\n')
  assert.match(text, /2 cases cannot be used: [\s\S]*shape: The mask has 3×4×6[\s\S]*broken/)
  assert.match(text, /value: the mask holds 7, which nothing names/)
  assert.match(text, /turned: The image and its mask are stored in different orientations/)
})

test('a contact sheet of volumes has a row a structure and one for volumes without any, masks outlined', async () => {
  const file = join(dir, 'sheet.png')
  const { contact_sheet } = await inspect(phantom, { contactSheet: file }, io)
  assert.deepEqual(
    contact_sheet!.rows.map((row) => row.label),
    ['Organ', 'Lesion'],
  )
  const { data, height, width, channels } = await decodeRaster(await readFile(file))
  assert.deepEqual([height, width, channels], [2 * 132 + 4, 8 * 132 + 4, 3])
  let outlined = 0
  for (let i = 0; i < data.length; i += 3) if (data[i + 2]! - data[i]! > 150) outlined++
  assert.ok(outlined > 500, `${outlined} pixels of outline`)
})

async function writeNnUNet(root: string): Promise<void> {
  for (const folder of ['imagesTr', 'labelsTr']) await mkdir(join(root, folder), { recursive: true })
  const ids = planned.slice(0, 6).map((one) => one.case_id)
  // The mask stands in for an image of one channel.
  for (const id of ids)
    for (const [folder, ending] of [
      ['imagesTr', '_0000'],
      ['imagesTr', '_0001'],
      ['labelsTr', ''],
    ] as const)
      await copyFile(join(phantom, 'labelsTr', `${id}.nii.gz`), join(root, folder, `${id}${ending}.nii.gz`))
  const labels = { background: 0, Organ: 1, Lesion: 2 }
  await writeFile(
    join(root, 'dataset.json'),
    JSON.stringify({ channel_names: { 0: 'A', 1: 'B' }, labels, file_ending: '.nii.gz', numTraining: 6 }),
  )
  const folds = [0, 1, 2].map((fold) => ids.filter((_, i) => i % 3 === fold))
  await writeFile(
    join(root, 'splits_final.json'),
    JSON.stringify(folds.map((val) => ({ train: ids.filter((id) => !val.includes(id)), val }))),
  )
}

type Shape = [number, number, number]
async function writeCase(
  root: string,
  name: string,
  { image, mask, values }: { image: Shape; mask: Shape; values: number[] },
): Promise<void> {
  const affine = [0, 0, 1.5, 7, 0, 2, 0, -3, 3, 0, 0, 11, 0, 0, 0, 1]
  const size = (shape: Shape) => shape[0] * shape[1] * shape[2]
  const voxels = Int16Array.from({ length: size(image) }, (_, i) => i)
  const labels = Uint8Array.from({ length: size(mask) }, (_, i) => values[i % values.length]!)
  const write = (folder: string, data: Int16Array | Uint8Array, shape: Shape) =>
    writeNifti({ data, channels: 1, shape, affine }, { gzip: true }).then((bytes) =>
      writeFile(join(root, folder, `${name}.nii.gz`), bytes),
    )
  await write('imagesTr', voxels, image)
  await write('labelsTr', labels, mask)
}

const writeJson = (root: string, labels: Record<number, string>, names: string[]) =>
  writeFile(
    join(root, 'dataset.json'),
    JSON.stringify({
      modality: { 0: 'CT' },
      labels,
      training: names.map((name) => ({
        image: `./imagesTr/${name}.nii.gz`,
        label: `./labelsTr/${name}.nii.gz`,
      })),
    }),
  )
