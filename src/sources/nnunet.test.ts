import assert from 'node:assert/strict'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { DataConfig } from '../schema/data.ts'
import { Task } from '../schema/task.ts'
import { writeDrawnNnUNet } from './raster_fixture.ts'
import { readSource } from './read.ts'
import { writeNnUNetLayout } from './volume_layout_fixture.ts'

const base = await mkdtemp(join(tmpdir(), 'fiducial-nnunet-'))
after(() => rm(base, { recursive: true }))
let made = 0

const labels = { Anterior: 1, Posterior: 2 }
const FOUR = ['a', 'b', 'c', 'd']
async function written(
  names: readonly string[] = FOUR,
  description: object = {},
  channels = 2,
): Promise<string> {
  const root = join(base, `set-${made++}`)
  await writeNnUNetLayout(
    root,
    names.map((name) => ({ name, channels })),
    description,
  )
  return root
}
const read = (root: string, split: object = { val: 0.25, test: 0.25 }, task: object = { labels }) =>
  readSource(
    DataConfig.parse({ root, source: { kind: 'nnunet' }, split }),
    Task.parse({ kind: 'segment', ...task }),
    root,
  )
const writeFolds = (root: string, folds: unknown) =>
  writeFile(join(root, 'splits_final.json'), JSON.stringify(folds))

test('files of one name with a channel at its end are one case, in the order of the channels', async () => {
  const { cases, volumes } = await read(await written(['lung_2', 'lung_1']))
  assert.deepEqual(
    cases.map(({ case_id, images, mask }) => [case_id, images, mask]),
    ['lung_1', 'lung_2'].map((id) => [
      id,
      [`imagesTr/${id}_0000.nii.gz`, `imagesTr/${id}_0001.nii.gz`],
      `labelsTr/${id}.nii.gz`,
    ]),
  )
  assert.deepEqual(volumes!.modalities, ['channel 0', 'channel 1'])
})

test('a missing channel, mask or image, and a channel too many, are each listed; the others are read', async () => {
  const root = await written(['fine', 'channel', 'mask', 'image', 'many'])
  await rm(join(root, 'imagesTr/channel_0001.nii.gz'))
  await rm(join(root, 'labelsTr/mask.nii.gz'))
  for (const c of ['0000', '0001']) await rm(join(root, `imagesTr/image_${c}.nii.gz`))
  await writeFile(join(root, 'imagesTr/many_0002.nii.gz'), 'a third')
  const { cases, skipped } = await read(root)
  assert.deepEqual(
    cases.map((one) => one.case_id),
    ['fine'],
  )
  const reasons = Object.fromEntries(skipped.map(({ file, reason }) => [file, reason]))
  assert.match(reasons['imagesTr/channel_0000.nii.gz']!, /no file of channel 1 \(_0001\)/)
  assert.match(reasons['imagesTr/mask_0000.nii.gz']!, /no mask labelsTr\/mask\.nii\.gz/)
  assert.match(reasons['labelsTr/image.nii.gz']!, /no image imagesTr\/image_0000\.nii\.gz/)
  assert.match(reasons['imagesTr/many_0000.nii.gz']!, /has 3 channels; dataset\.json names 2/)
})

test('files without a channel in their name are left alone and said', async () => {
  const root = await written()
  await rename(join(root, 'imagesTr/a_0000.nii.gz'), join(root, 'imagesTr/plain.nii.gz'))
  const { warnings } = await read(root)
  assert.match(warnings.join('\n'), /1 file in imagesTr\/ has no channel such as _0000 .*plain\.nii\.gz/)
})

test('a file ending that no file has is an error that names both', async () => {
  await assert.rejects(
    read(await written(['a'], { file_ending: '.nrrd' })),
    /no file ending in \.nrrd in [\s\S]*file_ending in dataset\.json/,
  )
})

test('splits_final.json gives the folds, as many as the recipe says', async () => {
  const root = await written()
  await writeFolds(root, [
    { train: ['c', 'd'], val: ['a', 'b'] },
    { train: ['a', 'b'], val: ['c', 'd'] },
  ])
  const { cases } = await read(root, { folds: 2, fold: 1 })
  assert.deepEqual(
    cases.map((one) => one.fold),
    [0, 0, 1, 1],
  )
  assert.deepEqual(
    (await read(root)).cases.map((one) => one.fold),
    [undefined, undefined, undefined, undefined],
  )
})

test('folds that do not fit, overlap, repeat or leave a case out are refused with what to do', async () => {
  const wrong: [unknown, RegExp][] = [
    [[{ train: FOUR, val: ['a'] }], /has 1 folds; data\.split\.folds is 2\.\n {2}do: write folds: 1/],
    [
      [
        { train: FOUR, val: ['a', 'b'] },
        { train: ['a', 'b'], val: ['c', 'd'] },
      ],
      /fold 0 trains and validates on a, b/,
    ],
    [
      [
        { train: ['d'], val: ['a', 'b', 'c'] },
        { train: ['a', 'b'], val: ['c', 'd'] },
      ],
      /c is validated in folds 0 and 1/,
    ],
    [
      [
        { train: ['c', 'd'], val: ['a', 'b'] },
        { train: ['a', 'b', 'd'], val: ['c'] },
      ],
      /validates d in no fold[\s\S]*do: add it to one/,
    ],
    [[{ val: ['a'] }], /splits_final\.json[\s\S]*train: is missing/],
  ]
  for (const [folds, message] of wrong) {
    const root = await written()
    await writeFolds(root, folds)
    await assert.rejects(read(root, { folds: 2, fold: 0 }), message)
  }
})

test('regions that dataset.json writes as lists are read by their values', async () => {
  const description = { labels: { background: 0, whole: [1, 2], core: [2] }, regions_class_order: [1, 2] }
  const { volumes } = await read(await written(FOUR, description), undefined, {
    regions: { whole: [1, 2], core: [2] },
  })
  assert.deepEqual([...volumes!.maskValues.keys()], [0, 1, 2])
})

test('of 2D images, RGB is one file and any other number of channels a file each', async () => {
  const roots = [join(base, 'rgb'), join(base, 'grey')] as const
  await writeDrawnNnUNet(roots[0], 2, { rgb: true })
  await writeDrawnNnUNet(roots[1], 2, { rgb: false, ending: '.tif' })
  const ellipse = { labels: { ellipse: 1 } }
  const imagesOf = async (root: string) => (await read(root, {}, ellipse)).cases.map(({ images }) => images)
  assert.deepEqual(await imagesOf(roots[0]), [
    ['imagesTr/drawn_000_0000.png'],
    ['imagesTr/drawn_001_0000.png'],
  ])
  assert.deepEqual(await imagesOf(roots[1]), [
    ['imagesTr/drawn_000_0000.tif', 'imagesTr/drawn_000_0001.tif'],
    ['imagesTr/drawn_001_0000.tif', 'imagesTr/drawn_001_0001.tif'],
  ])
})
