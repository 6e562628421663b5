import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { decodeRaster } from '#raster'
import { readRequest } from '../prepare/request.ts'
import { samplePlan } from '../prepare/sample_plan.ts'
import { SMALL_AFFINE, volumeFiles } from '../sources/volume_layout_fixture.ts'
import { init } from './init.ts'
import { inspect } from './inspect.ts'
import { quietIo } from './io.ts'
import { loadRecipe } from './load_recipe.ts'

const dir = await mkdtemp(join(tmpdir(), 'fiducial-labelled-at-hand-'))
after(() => rm(dir, { recursive: true }))
let serial = 0

/** Volumes of 4×5×6 voxels of 3, 2, 1.5 mm in a folder of its own, and a table where there is one. */
async function folder(paths: readonly string[], table?: string): Promise<string> {
  const root = join(dir, String(serial++), 'Scans')
  for (const path of paths) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), (await volumeFiles({ name: path, affine: SMALL_AFFINE })).image)
  }
  if (table !== undefined) await writeFile(join(root, 'labels.csv'), table)
  return root
}
const started = async (target: string) => {
  const out = join(dir, `${serial++}.yaml`)
  const result = await init(target, { out, force: true, dryRun: false }, quietIo())
  return { result, out, ...(await loadRecipe(out)) }
}
const CLASSES = ['tumour/a.nii.gz', 'tumour/b.nii.gz', 'normal/c.nii.gz']

test('init writes a recipe of class folders of volumes: resnet3d on the grid that the volumes have', async () => {
  const { result, recipe, root } = await started(await folder(CLASSES))
  assert.deepEqual(result.labels, { tumour: { positive: 2, negative: 1, unknown: 0 } })
  assert.ok(recipe.prepare.kind === 'volume')
  assert.deepEqual(
    [recipe.prepare.spacing_mm, recipe.prepare.size],
    [
      [3, 2, 1.5],
      [4, 5, 6],
    ],
  )
  assert.equal('kind' in recipe.model && recipe.model.kind, 'resnet3d')
  assert.ok(result.recognised.some((line) => line.startsWith('NIfTI of 4 × 5 × 6 voxels')))
  const plan = await samplePlan(await readRequest(recipe, root))
  assert.deepEqual(plan.preprocess.size, [4, 5, 6])
})

test('init makes channels of the columns that name volumes, and none of a column of masks', async () => {
  const rows = ['x', 'y', 'z'].map((p) => `${p}_t1.nii.gz,${p}_t2.nii.gz,${p}_mask.nii.gz,${p},tumour\n`)
  const files = ['x', 'y', 'z'].flatMap((p) => ['t1', 't2', 'mask'].map((c) => `${p}_${c}.nii.gz`))
  const table = `t1,t2,mask,patient,finding\n${rows.join('').replace('z,tumour', 'z,normal')}`
  const { recipe } = await started(join(await folder(files, table), 'labels.csv'))
  const { source } = recipe.data
  assert.ok(source.kind === 'csv')
  assert.deepEqual([source.image, source.patient], [['t1', 't2'], 'patient'])
  assert.deepEqual(recipe.task, { kind: 'classify', labels: ['tumour'], exclusive: false })
})

test('inspect shows labels, geometry and a contact sheet of middle slices, of a folder and of its recipe', async () => {
  const root = await folder(CLASSES)
  const sheet = join(dir, 'sheet.png')
  const { out } = await started(root)
  for (const target of [root, out]) {
    const found = await inspect(target, { contactSheet: sheet }, quietIo())
    assert.deepEqual(found.labels.tumour, { positive: 2, negative: 1, unknown: 0 })
    assert.deepEqual([found.volumes!.channels, found.volumes!.shape.median], [1, [4, 5, 6]])
    assert.ok(!found.warnings.some((line) => /mask|unreadable|None of the sampled/.test(line)))
    assert.deepEqual(
      found.contact_sheet!.rows.map(({ label, case_ids }) => [label, case_ids.length]),
      [
        ['tumour', 2],
        ['none', 1],
      ],
    )
    const { data } = await decodeRaster(await readFile(sheet))
    assert.ok(new Set(data).size > 20, 'grey values of slices')
  }
})

test('prepare says which size would do where a classification of volumes has none', async () => {
  const { recipe, root } = await started(await folder(CLASSES))
  assert.ok(recipe.prepare.kind === 'volume')
  const request = await readRequest(
    { ...recipe, prepare: { ...recipe.prepare, spacing_mm: [3, 1, 1], size: null } },
    root,
  )
  await assert.rejects(samplePlan(request), /write size: \[4, 9, 8\], the median of 3 cases/)
})
