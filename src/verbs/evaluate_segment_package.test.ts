import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { encodeRaster } from '#raster'
import { reorient } from '../imaging/geometry/orientation.ts'
import { readNifti } from '../imaging/nifti/read.ts'
import { writeNifti } from '../imaging/nifti/write.ts'
import { goldenVolumes } from '../package/golden_volume.ts'
import { loadSegmenter } from '../package/load_segmenter.ts'
import { TINY_IMAGE, TINY_VOLUME_SPEC, writeTinySegmenter } from '../package/testing/tiny_segmenter.ts'
import type { SegmentEvaluation } from '../schema/evaluation_segment.ts'
import { writeDrawnTable } from '../sources/raster_fixture.ts'
import { evaluate, planEvaluation } from './evaluate.ts'
import { quietIo } from './io.ts'
import { loadRecipe } from './load_recipe.ts'

/** Mask values of the other data set for those of the package. */
const OTHER: Readonly<Record<number, number>> = { 0: 0, 2: 9, 5: 4 }
let scratch = ''
let pkg = ''
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'fiducial-evaluate-segment-package-'))
  pkg = join(scratch, 'pkg')
  await writeTinySegmenter(pkg)
  await writeDataSet(join(scratch, 'data'))
})
after(() => rm(scratch, { recursive: true, force: true }))

/** Two cases whose references are what the package predicts, in other values; of the second one slice is missing. */
async function writeDataSet(root: string): Promise<void> {
  for (const folder of ['imagesTr', 'labelsTr']) await mkdir(join(root, folder), { recursive: true })
  const loaded = await loadSegmenter(pkg, { threads: 1 })
  const scans = await goldenVolumes(TINY_VOLUME_SPEC, [16, 20, 12])
  for (const [i, { bytes }] of scans.entries()) {
    const { mask } = await loaded.segment([bytes])
    const data = mask.data.map((value) => OTHER[value]!)
    if (i === 1) data.fill(0, 10 * mask.shape[1] * mask.shape[2], 11 * mask.shape[1] * mask.shape[2])
    await writeFile(join(root, 'imagesTr', `case_${i}.nii.gz`), bytes)
    const reference = await writeNifti({ ...mask, data }, { gzip: true })
    await writeFile(join(root, 'labelsTr', `case_${i}.nii.gz`), reference)
  }
  await loaded.close()
  await writeDescription(root, 2)
}

async function writeDescription(root: string, numCases: number): Promise<void> {
  const training = Array.from({ length: numCases }, (_, i) => ({
    image: `./imagesTr/case_${i}.nii.gz`,
    label: `./labelsTr/case_${i}.nii.gz`,
  }))
  const text = { modality: { 0: 'MR' }, labels: { 0: 'background', 9: 'body', 4: 'tail' }, training }
  await writeFile(join(root, 'dataset.json'), JSON.stringify({ name: 'other', ...text }))
}

async function recipe(task: string, root = join(scratch, 'data')) {
  const path = join(await mkdtemp(join(scratch, 'recipe-')), 'other.yaml')
  await writeFile(path, `name: other\ndata: { root: ${root}, source: decathlon }\ntask: ${task}\n`)
  return loadRecipe(path)
}
const BOTH = '{ kind: segment, labels: { body: 9, tail: 4 } }'
const run = async (task: string, options = {}, root?: string) =>
  (await evaluate(
    { package: pkg, data: await recipe(task, root) },
    { split: 'all', ...options },
    quietIo(),
  )) as SegmentEvaluation

test("masks are the package's own, measured against another data set's values by name", async () => {
  const out = join(scratch, 'out')
  const evaluation = await run(BOTH, { out })
  assert.equal(evaluation.cases, 2)
  assert.deepEqual(evaluation.task.labels, { body: [9], tail: [4] })
  const [whole, cut] = evaluation.per_case
  for (const label of ['body', 'tail']) assert.equal(whole!.per_label[label]!.dice, 1)
  assert.ok(cut!.per_label.body!.dice! < 1 && cut!.per_label.body!.dice! > 0.8)
  assert.match(evaluation.source, /^package tiny-volume [0-9a-f]{12} on other$/)
  assert.equal(evaluation.test_openings, 0)
  assert.deepEqual((await readdir(out)).sort(), ['evaluation.json', 'report.html'])
  assert.match(await readFile(join(out, 'report.html'), 'utf8'), /tiny-volume on other/)
})

test('what the recipe does not name is not measured, and said', async () => {
  const { per_label, warnings } = await run('{ kind: segment, labels: { tail: 4 } }')
  assert.deepEqual(Object.keys(per_label), ['tail'])
  assert.ok(warnings.includes('Not evaluated, as the recipe names no such structure: body.'))
  assert.match(warnings.join('\n'), /2 references with values that the recipe's task does not name/)
})

test('a package built on the data set at hand is told by the volumes in its certificate', async () => {
  const built = join(scratch, 'built')
  const seen = await readFile(join(scratch, 'data/imagesTr/case_1.nii.gz'))
  await writeTinySegmenter(built, { cases: [[seen]] })
  const warningsOf = async (from: string) =>
    (await evaluate({ package: from, data: await recipe(BOTH) }, { split: 'all' }, quietIo())).warnings
  const warning = /built on images of this very data set/
  assert.match((await warningsOf(built)).join('\n'), warning)
  assert.doesNotMatch((await warningsOf(pkg)).join('\n'), warning)
})

test('what does not fit is refused: other names, a part that only prepare knows', async () => {
  const renamed = join(scratch, 'renamed')
  await writeDataSet(renamed)
  const path = join(renamed, 'dataset.json')
  await writeFile(path, (await readFile(path, 'utf8')).replace('"body"', '"Leib"'))
  await assert.rejects(
    run('{ kind: segment, labels: { Leib: 9, tail: 4 } }', {}, renamed),
    /does not find Leib\.\n {2}package: body, tail/,
  )
  await assert.rejects(run(BOTH, { split: 'test' }), /only its shard set knows it/)
})

test('a case on another grid or unreadable is listed, and the others are measured', async () => {
  const root = join(scratch, 'broken')
  await writeDataSet(root)
  const path = join(root, 'labelsTr/case_1.nii.gz')
  const mask = await readNifti(await readFile(path))
  const affine = mask.affine.map((value, i) => (i === 11 ? value + 3 : value))
  await writeFile(path, await writeNifti({ ...mask, affine }, { gzip: true }))
  const { cases, warnings } = await run(BOTH, {}, root)
  assert.equal(cases, 1)
  assert.match(warnings.join('\n'), /1 case could not be measured and is in no number: case_1/)
  await writeFile(join(root, 'imagesTr/case_0.nii.gz'), 'x')
  await assert.rejects(run(BOTH, {}, root), /None of the 2 cases could be measured: /)
})

test('a reference stored in another orientation, its affine rounded, is measured as one on the grid of its image', async () => {
  const root = join(scratch, 'turned')
  await writeDataSet(root)
  const expected = await run(BOTH, {}, root)
  const path = join(root, 'labelsTr/case_1.nii.gz')
  const turned = reorient(await readNifti(await readFile(path)), 'PSL')
  const affine = turned.affine.map((value, i) => (i % 4 === 3 && i < 12 ? value + 0.03 : value))
  await writeFile(path, await writeNifti({ ...turned, affine }, { gzip: true }))
  const { per_case, warnings } = await run(BOTH, {}, root)
  assert.deepEqual(per_case, expected.per_case)
  assert.deepEqual(warnings, expected.warnings)
})

test('--dry-run says what it would do and writes nothing', async () => {
  const target = { package: pkg, data: await recipe(BOTH) }
  const { would } = await planEvaluation(target, { split: 'all' })
  assert.deepEqual(would, [
    'segment all cases of other with the package tiny-volume',
    'print the result and write nothing',
  ])
})

test('a package of 2D images is measured in pixels against PNG masks of another value', async () => {
  const images = join(scratch, 'pkg-images')
  await writeTinySegmenter(images, TINY_IMAGE)
  const loaded = await loadSegmenter(images, { threads: 1 })
  const root = join(scratch, 'drawn')
  await writeDrawnTable(root, 2)
  for (const name of ['drawn_000', 'drawn_001']) {
    const { mask } = await loaded.segment([await readFile(join(root, `images/${name}.png`))])
    const [, height, width] = mask.shape
    const data = mask.data.map((value) => (value === 2 ? 255 : 0))
    await writeFile(
      join(root, `masks/${name}.png`),
      await encodeRaster({ data, height, width, channels: 1 }, 'png'),
    )
  }
  await loaded.close()
  const path = join(scratch, 'drawn.yaml')
  await writeFile(
    path,
    `name: drawn\ndata: { root: ${root}, source: { kind: csv, file: cases.csv, image: image, mask: mask } }\n` +
      'task: { kind: segment, labels: { body: 255 } }\n',
  )
  const out = join(scratch, 'out-images')
  const evaluation = (await evaluate(
    { package: images, data: await loadRecipe(path) },
    { split: 'all', out },
    quietIo(),
  )) as SegmentEvaluation
  assert.equal(evaluation.distance_unit, 'px')
  assert.deepEqual(
    evaluation.per_case.map((one) => one.per_label.body!.dice),
    [1, 1],
  )
  assert.match(await readFile(join(out, 'report.html'), 'utf8'), /outlines of case images\/drawn_00/)
})
