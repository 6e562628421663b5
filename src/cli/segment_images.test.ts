import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { decodeImage } from '../imaging/decode_image.ts'
import { SegmentEvaluation } from '../schema/evaluation_segment.ts'
import { parse } from '../schema/parse.ts'
import { InitResult, InspectResult, PredictResult, RunResult } from '../schema/results.ts'
import { SegmentPackage } from '../schema/segment_package.ts'
import { DRAWN_SIZE, writeDrawnTable } from '../sources/raster_fixture.ts'

// RGB images of drawn ellipses with PNG masks through every verb, as a user walks it. The training is of seconds: that
// the ellipses are found at all is the claim, no more.
const root = fileURLToPath(new URL('../../', import.meta.url))
const skip = existsSync(join(root, '.venv', 'bin', 'python'))
  ? false
  : 'no Python environment; run "npm run setup"'

let dir: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-segment-images-'))
  await writeDrawnTable(join(dir, 'drawn'), 16)
})
after(() => rm(dir, { recursive: true }))

function typed(...args: string[]): unknown {
  const { status, stdout, stderr } = spawnSync(join(root, 'fiducial'), [...args, '--json'], {
    cwd: dir,
    encoding: 'utf8',
  })
  assert.equal(status, 0, `${args.join(' ')}\n${stderr}`)
  return JSON.parse(stdout)
}

let run: RunResult

test('init writes a recipe of a table with masks, and inspect counts what they hold in pixels', {
  skip,
}, () => {
  const init = parse(InitResult, typed('init', 'drawn', '--out', 'drawn.yaml'), 'init')
  assert.match(init.text, /mask: mask, patient: patient/)
  assert.match(init.text, /labels: \{ foreground: 255 \}/)
  const sheet = join(dir, 'sheet.png')
  const inspect = parse(InspectResult, typed('inspect', 'drawn.yaml', '--contact-sheet', sheet), 'inspect')
  assert.deepEqual(inspect.labels.foreground, { positive: 13, negative: 3, unknown: 0 })
  assert.deepEqual([inspect.volumes!.channels, inspect.volumes!.distance_unit], [3, 'px'])
  assert.equal(inspect.patients, 8)
  assert.ok(existsSync(sheet))
})

test('run trains on images, some of them without any structure, measures in pixels and certifies', {
  skip,
}, async () => {
  const sets = [
    'data.split={val: 0.25, test: 0.13, seed: 0}',
    'model={kind: unet3d, channels: [8, 16], residual_units: 1}',
    'augment={flip: [x], rotate: 0.2, scale: 0.2}',
    'train={epochs: 5, lr: 0.02, patch_size: [1, 32, 48], seed: 0}',
    'evaluate={bootstrap: 100, mirror: none}',
  ]
  run = parse(RunResult, typed('run', 'drawn.yaml', ...sets.flatMap((set) => ['--set', set])), 'run')
  assert.equal(run.package.certificate.passed, true)
  const evaluation = parse(SegmentEvaluation, typed('evaluate', run.run_dir), 'evaluate')
  assert.equal(evaluation.distance_unit, 'px')
  assert.ok(evaluation.per_label.foreground!.found > 0)
  const masks = await readdir(join(run.run_dir, 'predictions/val'))
  assert.ok(masks.length === evaluation.cases && masks.every((name) => name.endsWith('.png')))
  assert.match(await readFile(join(run.run_dir, 'report.html'), 'utf8'), /surface Dice at 1 px/)
})

test('the package says what it takes, and its phantoms are images', { skip }, async () => {
  const json: unknown = JSON.parse(await readFile(join(run.package_dir, 'model.json'), 'utf8'))
  assert.equal(parse(SegmentPackage, json, 'model.json').preprocess.distance_unit, 'px')
  assert.ok(existsSync(join(run.package_dir, 'golden/tall.png')))
  assert.match(await readFile(join(run.package_dir, 'MODEL_CARD.md'), 'utf8'), /Input: 2D images/)
})

test('predict writes masks that evaluate measures as it measured the run', { skip }, async () => {
  const evaluation = parse(
    SegmentEvaluation,
    JSON.parse(await readFile(join(run.run_dir, 'evaluation.json'), 'utf8')),
    'evaluation.json',
  )
  const ids = evaluation.per_case.map((one) => one.case_id.replace('images/', ''))
  const files = ids.map((id) => join(dir, 'drawn/images', `${id}.png`))
  const { predictions } = parse(
    PredictResult,
    typed('predict', run.package_dir, ...files, '--out', 'predicted'),
    'predict',
  )
  for (const { case_id, mask, areas_px } of predictions) {
    const { raster } = await decodeImage(await readFile(join(dir, mask!)), { exif_orientation: true })
    const columns = DRAWN_SIZE[1] + 3 * Number(case_id.slice(-3))
    assert.deepEqual([raster.height, raster.width, raster.channels], [DRAWN_SIZE[0], columns, 1])
    assert.equal(areas_px!.foreground, raster.data.filter((value) => value === 255).length)
  }
  await mkdir(join(dir, 'references'))
  for (const id of ids) {
    const bytes = await readFile(join(dir, 'drawn/masks', `${id}.png`))
    await writeFile(join(dir, 'references', `${id}.png`), bytes)
  }
  const again = parse(
    SegmentEvaluation,
    typed(
      ...['evaluate', '--predictions', 'predicted', '--labels', 'references', '--names', 'foreground=255'],
      ...['--set', 'evaluate.bootstrap=100'],
    ),
    'evaluate --predictions',
  )
  assert.ok(
    Math.abs(again.metrics.dice_mean!.value! - evaluation.metrics.dice_mean!.value!) < 1e-3,
    'what the package predicts is what was measured',
  )
})
