import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, test } from 'node:test'
import { encodePng } from '#raster'
import type { ImageAugment } from '../schema/augment.ts'
import { PhantomSource } from '../schema/data.ts'
import type { ImagePrepare, Recipe } from '../schema/recipe.ts'
import {
  writeChestXray14Layout,
  writeFiles,
  writeMhistLayout,
  writePicture,
} from '../sources/layout_fixture.ts'
import { ensurePhantom } from '../sources/phantom_write.ts'
import { readSource } from '../sources/read.ts'
import { init } from './init.ts'
import { quietIo } from './io.ts'
import { loadRecipe } from './load_recipe.ts'

const shared = resolve(import.meta.dirname, '../../../shared/data')
type ImageRecipe = Recipe & { prepare: ImagePrepare; augment: ImageAugment }

let base: string
let serial = 0
before(async () => {
  base = await mkdtemp(join(tmpdir(), 'fiducial-init-'))
})
after(() => rm(base, { recursive: true }))

async function folder(files: Parameters<typeof writeFiles>[1] = {}): Promise<string> {
  const root = join(base, String(serial++), 'My images')
  await mkdir(root, { recursive: true })
  await writeFiles(root, files)
  return root
}

/** Writes the recipe beside the folder, loads it as every verb does, and reads the data by it. */
async function start(target: string, options: { force?: boolean } = {}) {
  const out = join(base, `${serial}.yaml`)
  const result = await init(target, { out, force: options.force ?? true, dryRun: false }, quietIo())
  const loaded = await loadRecipe(out)
  const { data, task } = loaded.recipe
  const found = await readSource(data, task, loaded.root)
  return { result, recipe: loaded.recipe as ImageRecipe, found, text: loaded.text }
}

const pictures = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, true as const]))
const numbered = (n: number, name: (i: number) => string) => Array.from({ length: n }, (_, i) => name(i))

test('a table beside its images: image, patient, label and attribute columns are found', async () => {
  const root = await folder({
    'meta.csv': `Filename,Patient ID,Diagnosis,Sex,Hash\n${numbered(12, (i) => `img/${i}.png,P${i >> 1},${i % 3 ? 'Normal' : 'Pneumonia'},${i % 2 ? 'F' : 'M'},h${i}`).join('\n')}\n`,
    ...pictures(numbered(12, (i) => `img/${i}.png`)),
  })
  const { recipe, result, found } = await start(root)
  assert.deepEqual(recipe.data.source, {
    kind: 'csv',
    file: 'meta.csv',
    image: 'Filename',
    images_dir: '',
    patient: 'Patient ID',
    labels: { column: 'Diagnosis', negative: ['Normal'], unknown: [] },
    attributes: ['Sex'],
  })
  assert.deepEqual(recipe.task, { kind: 'classify', labels: ['Pneumonia'], exclusive: false })
  assert.equal(recipe.name, 'my-images')
  assert.equal(found.cases.length, 12)
  assert.deepEqual([result.cases, result.patients, result.skipped], [12, 6, 0])
  assert.deepEqual(result.labels, { Pneumonia: { positive: 4, negative: 8, unknown: 0 } })
  assert.match(result.recognised.join('\n'), /PNG, 8-bit grey, 8 rows by 8 columns/)
})

test('the table itself may be named, and images may lack their extension in another folder', async () => {
  const root = await folder({
    'labels.csv': `id,target\n${numbered(10, (i) => `scan_${i},${i % 2}`).join('\n')}\n`,
    ...pictures(numbered(10, (i) => `pictures/scan_${i}.png`)),
  })
  const { recipe, result } = await start(join(root, 'labels.csv'))
  assert.deepEqual(recipe.data.source, {
    kind: 'csv',
    file: 'labels.csv',
    image: 'id',
    images_dir: 'pictures',
    patient: null,
    labels: { columns: { positive: 'target' }, unknown: [] },
    attributes: [],
  })
  assert.match(result.please_check.join(), /no column names the patient/)
})

test('0/1 columns are independent findings; empty and -1 cells are masked', async () => {
  const root = await folder({
    'train.csv': `image,subject_id,effusion,mass,male\n${numbered(9, (i) => `${i}.png,${i >> 1},${['0', '1', '-1'][i % 3]},${['1', '', '0'][i % 3]},${i % 2}`).join('\n')}\n`,
    ...pictures(numbered(9, (i) => `${i}.png`)),
  })
  const { recipe, result } = await start(root)
  assert.deepEqual(recipe.task, { kind: 'classify', labels: ['effusion', 'mass'], exclusive: false })
  assert.deepEqual(result.labels.mass, { positive: 3, negative: 3, unknown: 3 })
})

test('one-hot columns, as in ISIC tables, are classes that exclude each other', async () => {
  const root = await folder({
    'truth.csv': `image,MEL,NV,BCC\n${numbered(9, (i) => `ISIC_${i},${Number(i % 3 === 0)}.0,${Number(i % 3 === 1)}.0,${Number(i % 3 === 2)}.0`).join('\n')}\n`,
    ...pictures(numbered(9, (i) => `images/ISIC_${i}.png`)),
  })
  const { recipe } = await start(root)
  assert.deepEqual(recipe.task, { kind: 'classify', labels: ['MEL', 'NV', 'BCC'], exclusive: true })
})

test('images spread over folders of like names, as in HAM10000, are all found', async () => {
  const root = await folder({
    'HAM10000_metadata.csv': `lesion_id,image_id,dx,sex\n${numbered(12, (i) => `HAM_${i >> 1},ISIC_${i},${['nv', 'mel', 'bkl'][i % 3]},male`).join('\n')}\n`,
    ...pictures(numbered(12, (i) => `HAM10000_images_part_${1 + (i % 2)}/ISIC_${i}.png`)),
  })
  const { recipe, found } = await start(root)
  assert(recipe.data.source.kind === 'csv')
  assert.equal(recipe.data.source.images_dir, 'HAM10000_images_part_*')
  assert.deepEqual(recipe.task.labels, ['bkl', 'mel', 'nv'])
  assert.equal(found.cases.length, 12)
})

test('paths that start with the folder and hold the patient, as in CheXpert, are understood', async () => {
  const paths = numbered(24, (i) => `train/patient0${100 + (i >> 1)}/study1/view${1 + (i % 2)}.png`)
  const root = await folder({
    'train.csv': `Path,Sex,Edema,Fracture\n${paths.map((path, i) => `My images/${path},Male,${['1.0', '0.0', '-1.0', ''][i % 4]},${['0.0', '1.0'][i % 2]}`).join('\n')}\n`,
    ...pictures(paths),
  })
  const { recipe, result, found } = await start(root)
  assert(recipe.data.source.kind === 'csv')
  assert.equal(recipe.data.source.file, 'My images/train.csv')
  assert.equal(new Set(found.cases.map((c) => c.patient_id)).size, 12)
  assert.match(result.please_check.join(), /12 patients, guessed from a word and a number/)
})

test('several findings in a cell are split', async () => {
  const cells = ['Effusion|Mass', 'No Finding', 'Mass', 'Effusion', 'No Finding', 'Mass|Edema']
  const root = await folder({
    'labels.csv': `file,patient_id,findings\n${numbered(18, (i) => `${i}.png,${i},${cells[i % 6]}`).join('\n')}\n`,
    ...pictures(numbered(18, (i) => `${i}.png`)),
  })
  const { recipe } = await start(root)
  assert(recipe.data.source.kind === 'csv')
  assert.deepEqual(recipe.data.source.labels, {
    column: 'findings',
    separator: '|',
    negative: ['No Finding'],
    unknown: [],
  })
  assert.deepEqual(recipe.task.labels, ['Mass', 'Effusion', 'Edema'])
})

test("a table's own split is kept when it keeps patients apart, and replaced with a reason when it does not", async () => {
  const table = (patient: (i: number) => number) =>
    `file,patient_id,label,split\n${numbered(12, (i) => `${i}.png,${patient(i)},${i % 2 ? 'a' : 'b'},${i < 8 ? 'train' : 'test'}`).join('\n')}\n`
  const images = pictures(numbered(12, (i) => `${i}.png`))
  const clean = await start(await folder({ 'labels.csv': table((i) => i >> 2), ...images }))
  assert.deepEqual(clean.recipe.data.split, { column: 'split', val: 0.15, seed: 0 })
  const leaking = await start(await folder({ 'labels.csv': table((i) => i % 5), ...images }))
  assert.deepEqual(leaking.recipe.data.split, { val: 0.15, test: 0.2, seed: 0 })
  assert.match(leaking.result.please_check.join(), /puts 4 patients in more than one part/)
})

test('class folders: the finding against its absence, patients by their names where clear', async () => {
  const root = await folder(
    pictures([
      ...numbered(10, (i) => `NORMAL/patient${i >> 1}_${i}.png`),
      ...numbered(10, (i) => `PNEUMONIA/patient${20 + (i >> 1)}_${i}.png`),
    ]),
  )
  const { recipe, result } = await start(root)
  assert.deepEqual(recipe.task, { kind: 'classify', labels: ['PNEUMONIA'], exclusive: false })
  assert(recipe.data.source.kind === 'folder')
  assert.deepEqual(recipe.data.source.negative, ['NORMAL'])
  assert.equal(result.patients, 10)
  assert.match(result.please_check.join(), /patients were guessed/)
})

test('a small cohort with one patient of many images, or names of two kinds, keeps its patients', async () => {
  const many = await start(
    await folder(
      pictures([
        ...numbered(8, (i) => `PNEUMONIA/person1507_bacteria_${3935 + i}.png`),
        ...numbered(12, (i) => `PNEUMONIA/person${i}_virus_${i}.png`),
        ...numbered(20, (i) => `NORMAL/IM-0${115 + (i >> 1)}-${i}.png`),
      ]),
    ),
  )
  assert.equal(many.result.patients, 23)
  const part = await start(
    await folder(
      pictures([
        ...numbered(10, (i) => `a/patient${i >> 1}_${i}.png`),
        ...numbered(14, (i) => `b/${String.fromCharCode(97 + i)}.png`),
      ]),
    ),
  )
  assert.match(part.result.please_check.join(), /5 patients in 10 of 24 images, the others each its own/)
  assert.equal(part.result.patients, 19)
})

test('a given split of folders that shares a guessed patient is replaced', async () => {
  const root = await folder(
    pictures([
      ...numbered(12, (i) => `train/a/person${i >> 1}_bacteria_${i}.png`),
      ...numbered(12, (i) => `train/b/person${20 + (i >> 1)}_virus_${i}.png`),
      ...numbered(6, (i) => `test/a/person1_bacteria_${30 + i}.png`),
      ...numbered(6, (i) => `test/b/person${60 + i}_virus_${i}.png`),
    ]),
  )
  const { recipe, result } = await start(root)
  assert.ok('test' in recipe.data.split)
  assert.match(result.please_check.join(), /puts 1 patient in more than one part/)
})

test('names that are a mere number make no patients', async () => {
  const root = await folder(
    pictures([...numbered(6, (i) => `a/img_${i}.png`), ...numbered(6, (i) => `b/img_${i}.png`)]),
  )
  const { recipe, result, text } = await start(root)
  assert(recipe.data.source.kind === 'folder')
  assert.equal(recipe.data.source.patient, null)
  assert.deepEqual(recipe.task, { kind: 'classify', labels: ['a', 'b'], exclusive: true })
  assert.match(result.please_check.join(), /no patient id was recognised/)
  assert.match(text, /each counted as its own patient[\s\S]*stratified; every image is its own patient/)
  assert.doesNotMatch(text, /by patient, stratified|224 or more/)
})

test('a folder a patient below the class folders is recognised', async () => {
  const root = await folder(
    pictures([
      ...numbered(12, (i) => `benign/SOB-${i >> 1}/${i}.png`),
      ...numbered(12, (i) => `malignant/SOB-${9 + (i >> 1)}/${i}.png`),
    ]),
  )
  assert.equal((await start(root)).result.patients, 12)
})

test('train, val and test folders are the given split, also below the single folder of an archive', async () => {
  const root = await folder(
    pictures(
      ['train', 'val', 'test'].flatMap((part) =>
        ['a', 'b'].map((name) => `chest/${part}/${name}/${part}${name}.png`),
      ),
    ),
  )
  const { recipe, found } = await start(root)
  assert.deepEqual(recipe.data.split, { official: true, val: 0.15, seed: 0 })
  assert.equal(found.has_given_split, true)
  assert(recipe.data.root.endsWith('My images/chest'))
})

test('ChestX-ray14 as downloaded is recognised, with the findings that occur and its official split', async () => {
  const root = await folder()
  await writeChestXray14Layout(root, { release: '2017', folders: 'numbered' })
  const { recipe, result } = await start(root)
  assert.deepEqual(recipe.data.source, { kind: 'chestxray14' })
  assert.deepEqual(recipe.data.split, { official: true, val: 0.15, seed: 0 })
  assert.deepEqual(recipe.task.labels, ['Effusion', 'Infiltration', 'Mass', 'Nodule', 'Pleural_Thickening'])
  assert.equal(result.patients, 10)
})

test('MHIST as downloaded is recognised', async () => {
  const root = await folder()
  await writeMhistLayout(root)
  const { recipe } = await start(root)
  assert.deepEqual(recipe.data.source, { kind: 'mhist' })
  assert.equal(recipe.prepare.channels, 3)
})

test('the folder of a phantom is called synthetic, in the recipe too', async () => {
  const root = await folder()
  await ensurePhantom(PhantomSource.parse({ kind: 'phantom', patients: 8, size: 32 }), root)
  const { result, text } = await start(root)
  assert.equal(result.synthetic, true)
  assert.match(text, /# SYNTHETIC/)
})

test('"phantom" writes the recipe of the phantom', async () => {
  const { recipe, result, found } = await start('phantom')
  assert.equal(recipe.data.source.kind, 'phantom')
  assert.equal(result.synthetic, true)
  assert.equal(found.synthetic, true)
})

test('images stored as RGB but grey are one channel; stained tissue is turned every way', async () => {
  const tint = async (root: string, colour: [number, number, number]) => {
    for (const name of ['a/1.png', 'a/2.png', 'b/1.png', 'b/2.png']) {
      const data = Uint8Array.from({ length: 40 * 40 * 3 }, (_, i) => colour[i % 3]!)
      await writeFiles(root, { [name]: await encodePng({ data, height: 40, width: 40, channels: 3 }) })
    }
    return start(root)
  }
  assert.equal((await tint(await folder(), [90, 90, 90])).recipe.prepare.channels, 1)
  const stained = await tint(await folder(), [200, 150, 190])
  assert.equal(stained.recipe.prepare.channels, 3)
  assert.equal(stained.recipe.augment.rotate90, 1)
  assert.match(stained.result.recognised.join(), /coloured like stained tissue/)
})

test('images are not mirrored unless someone wants it, and chest films say why: the heart lies on one side', async () => {
  const two = (a: string, b: string) =>
    folder(pictures([...numbered(6, (i) => `${a}/${i}.png`), ...numbered(6, (i) => `${b}/${i}.png`)]))
  const chest = await start(await two('NORMAL', 'PNEUMONIA'))
  assert.equal(chest.recipe.augment.flip_x, 0)
  assert.match(chest.text, /flip_x: 0 } .*# .*heart.*CheXNet/)
})

test('images of unlike shapes are padded', async () => {
  const root = await folder(pictures(['a/1.png', 'b/1.png']))
  const wide = await encodePng({ data: new Uint8Array(40 * 80), height: 40, width: 80, channels: 1 })
  await writeFiles(root, { 'a/2.png': wide })
  assert.equal((await start(root)).recipe.prepare.fit, 'pad')
})

test('hostile names and labels are quoted, so that the recipe still parses', async () => {
  const names = ["it's: {bad}", '- yes # "no"', 'null']
  const root = await folder(pictures(names.flatMap((name) => [`${name}/1.png`, `${name}/new\nline.png`])))
  const { recipe, found } = await start(root)
  assert.deepEqual(recipe.task.labels, [...names].sort())
  assert.equal(found.cases.length, 6)
})

test('a folder of images alone is refused with a template of the table to write', async () => {
  const root = await folder(pictures(['one.png', 'two.png']))
  await assert.rejects(start(root), {
    name: 'UserError',
    message:
      /holds 2 images but nothing says what they show[\s\S]*file,patient_id,label\n {8}one\.png,<patient>,<class>/,
  })
})

test('a table without labels is refused, naming its columns', async () => {
  const root = await folder({
    'list.csv': `file,patient_id\n${numbered(6, (i) => `${i}.png,${i}`).join('\n')}\n`,
    ...pictures(numbered(6, (i) => `${i}.png`)),
  })
  await assert.rejects(
    start(root),
    /No column of list\.csv looks like a label\.\n {2}columns found: "file", "patient_id"/,
  )
})

test('class folders beside a table without labels are used, and the table is mentioned', async () => {
  const root = await folder({
    'sizes.csv': 'file,rows\na/1.png,8\na/2.png,8\nb/1.png,8\nb/2.png,8\n',
    ...pictures(['a/1.png', 'a/2.png', 'b/1.png', 'b/2.png']),
  })
  const { recipe, result } = await start(root)
  assert.deepEqual(recipe.task.labels, ['a', 'b'])
  assert.match(
    result.please_check.join(),
    /a table was passed over: No column of sizes\.csv looks like a label/,
  )
})

test('a table whose images are elsewhere, and other files, are refused', async () => {
  const root = await folder({
    'list.csv': 'file,label\n1.png,a\n2.png,b\n',
    'notes.docx': 'x',
    ...pictures(['x/9.png']),
  })
  await assert.rejects(start(join(root, 'list.csv')), /No column of list\.csv names images that are there/)
  await assert.rejects(start(join(root, 'notes.docx')), /neither a folder nor a \.csv/)
  await assert.rejects(start(join(root, 'x/9.png')), /is a single image/)
  await assert.rejects(
    start(join(root, 'absent')),
    /no folder or file .*absent, and no data set of that name/,
  )
})

test('DICOM that is none is named as no single image, and NIfTI that is none as no volume', async () => {
  await assert.rejects(
    start(await folder({ 'a/1.dcm': 'x', 'a/2.dcm': 'x' })),
    /2 files in DICOM format, which are not read as single images/,
  )
  await assert.rejects(
    start(
      await folder({
        'labels.csv': 'file,label\n1.nii.gz,a\n2.nii.gz,b\n',
        '1.nii.gz': 'x',
        '2.nii.gz': 'x',
      }),
    ),
    /None of the volumes can be read[\s\S]*1: The file is not NIfTI/,
  )
})

test('a recipe that is there is kept unless forced, and a dry run writes nothing', async () => {
  const root = await folder(pictures(['a/1.png', 'b/1.png']))
  const out = join(root, 'recipe.yaml')
  const dry = await init(root, { out, force: false, dryRun: true }, quietIo())
  assert.equal(existsSync(out), false)
  assert.match(dry.text, /^name: my-images$/m)
  await writeFile(out, 'mine')
  await assert.rejects(
    init(root, { out, force: false, dryRun: false }, quietIo()),
    /exists and is kept[\s\S]*--force/,
  )
  assert.equal(await readFile(out, 'utf8'), 'mine')
  await init(root, { out, force: true, dryRun: false }, quietIo())
  assert.match(await readFile(out, 'utf8'), /^ {2}root: \. /m)
})

test('unreadable images do not stop the look; none readable does', async () => {
  const root = await folder({ ...pictures(['a/1.png', 'b/1.png']), 'a/2.png': 'not an image' })
  assert.match(
    (await start(root)).result.recognised.join(),
    /2 images sampled; 1 more unreadable: [\w/]+\.png/,
  )
  await assert.rejects(
    start(await folder({ 'a/1.png': 'x', 'b/1.png': 'y' })),
    /None of the images could be read/,
  )
})

for (const [name, cases, patients, label] of [
  ['chest-kermany', 600, 481, 'pneumonia'],
  ['chest-nih64', 1000, 264, 'abnormal'],
  ['histology-breakhis', 78, 13, 'malignant'],
] as const)
  test(`${name} is understood without a word`, {
    skip: existsSync(join(shared, name)) ? false : `../shared/data/${name} is absent`,
  }, async () => {
    const { result, recipe } = await start(join(shared, name))
    assert.deepEqual([result.cases, result.patients, recipe.task.labels], [cases, patients, [label]])
    assert.equal(recipe.prepare.channels, name === 'histology-breakhis' ? 3 : 1)
  })

test('a picture of 8 px and one of 500 px get a size that networks can halve', async () => {
  for (const [size, expected] of [
    [8, 32],
    [100, 96],
    [500, 128],
  ] as const) {
    const root = await folder()
    for (const name of ['a/1.png', 'b/1.png'])
      await writePicture(join(root, name), { size, channels: 1, brightness: 100, key: name })
    assert.equal((await start(root)).recipe.prepare.size, expected)
  }
})
