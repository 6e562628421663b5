import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { DataConfig } from '../schema/data.ts'
import { parseRecipe } from '../schema/parse.ts'
import { Task } from '../schema/task.ts'
import { writeDrawnTable } from './raster_fixture.ts'
import { readSource } from './read.ts'

const base = await mkdtemp(join(tmpdir(), 'fiducial-csv-masks-'))
after(() => rm(base, { recursive: true }))
let made = 0
async function drawn(count: number): Promise<string> {
  const root = join(base, `set-${made++}`)
  await mkdir(root)
  await writeDrawnTable(root, count)
  return root
}
const COLUMNS = { file: 'cases.csv', image: 'image', mask: 'mask', patient: 'patient' }
const read = (root: string, source: object = {}, task: object = { labels: { ellipse: 255 } }, split = {}) =>
  readSource(
    DataConfig.parse({ root, source: { kind: 'csv', ...COLUMNS, ...source }, split }),
    Task.parse({ kind: 'segment', ...task }),
    root,
  )

test('a row is an image and its mask, with the patient of its column', async () => {
  const { cases, volumes } = await read(await drawn(3))
  assert.deepEqual(
    cases.map(({ case_id, patient_id, images, mask, labels }) => [case_id, patient_id, images, mask, labels]),
    ['p0', 'p0', 'p1'].map((patient, n) => [
      `images/drawn_00${n}`,
      patient,
      [`images/drawn_00${n}.png`],
      `masks/drawn_00${n}.png`,
      { ellipse: null },
    ]),
  )
  assert.deepEqual(
    [...volumes!.maskValues],
    [
      [0, 'background'],
      [255, 'ellipse'],
    ],
  )
})

test('values of regions are known too, each once', async () => {
  const { volumes } = await read(await drawn(1), {}, { regions: { whole: [1, 2], core: [2] } })
  assert.deepEqual(
    [...volumes!.maskValues],
    [
      [0, 'background'],
      [1, 'whole'],
      [2, 'whole, core'],
    ],
  )
})

test('masks lie below masks_dir, or where the images do', async () => {
  const root = await drawn(2)
  await writeFile(
    join(root, 'cases.csv'),
    'image,mask,patient\ndrawn_000,drawn_000,a\ndrawn_001.png,drawn_001.png,b\n',
  )
  const apart = await read(root, { images_dir: 'images', masks_dir: 'masks' })
  assert.deepEqual(
    apart.cases.map(({ mask }) => mask),
    ['masks/drawn_000.png', 'masks/drawn_001.png'],
  )
  await rename(join(root, 'masks/drawn_000.png'), join(root, 'images/m0.png'))
  await rename(join(root, 'masks/drawn_001.png'), join(root, 'images/m1.png'))
  await writeFile(join(root, 'cases.csv'), 'image,mask,patient\ndrawn_000,m0,a\ndrawn_001.png,m1,b\n')
  const together = await read(root, { images_dir: 'images' })
  assert.deepEqual(
    together.cases.map(({ mask }) => mask),
    ['images/m0.png', 'images/m1.png'],
  )
})

test('a row whose mask is not there, or not named, is listed and left out', async () => {
  const root = await drawn(3)
  await rm(join(root, 'masks/drawn_001.png'))
  await writeFile(
    join(root, 'cases.csv'),
    [
      'image,mask,patient',
      ...[0, 1].map((n) => `images/drawn_00${n}.png,masks/drawn_00${n}.png,p${n}`),
      'images/drawn_002.png,,p2',
    ].join('\n'),
  )
  const { cases, skipped } = await read(root)
  assert.deepEqual(
    cases.map((one) => one.case_id),
    ['images/drawn_000'],
  )
  assert.deepEqual(
    skipped.map(({ file }) => file),
    ['masks/drawn_001.png', 'cases.csv:4'],
  )
  assert.match(skipped[1]!.reason, /mask column is empty on line 4/)
})

test('one image with two masks is a contradiction', async () => {
  const root = await drawn(2)
  await writeFile(
    join(root, 'cases.csv'),
    'image,mask,patient\nimages/drawn_000.png,masks/drawn_000.png,p\nimages/drawn_000.png,masks/drawn_001.png,p\n',
  )
  await assert.rejects(read(root), /lines 2 and 3: images\/drawn_000\.png \(mask differ\)/)
})

test('a recipe says which of labels and masks its table has to name', () => {
  const recipe = (source: object, task: object) =>
    parseRecipe(
      { name: 'a', data: { root: 'a', source: { kind: 'csv', file: 'a.csv', image: 'i', ...source } }, task },
      'a recipe of a test',
    )
  const segment = { kind: 'segment', labels: { polyp: 255 } }
  const classify = { kind: 'classify', labels: ['polyp'] }
  const { prepare, model } = recipe({ mask: 'm' }, segment)
  assert.deepEqual([prepare.kind, 'kind' in model && model.kind], ['volume', 'unet3d'])
  assert.throws(() => recipe({}, segment), /data\.source\.mask: is missing/)
  assert.throws(
    () => recipe({ mask: 'm', labels: { column: 'l' } }, segment),
    /data\.source\.labels: is for classification/,
  )
  assert.throws(() => recipe({}, classify), /data\.source\.labels: is missing/)
  assert.throws(
    () => recipe({ labels: { column: 'l' }, mask: 'm' }, classify),
    /data\.source\.mask: is for segmentation/,
  )
})
