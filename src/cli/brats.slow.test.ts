import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { readNifti } from '../imaging/nifti/read.ts'
import { SegmentEvaluation } from '../schema/evaluation_segment.ts'
import { parse } from '../schema/parse.ts'
import {
  InitResult,
  InspectResult,
  PackageResult,
  PredictResult,
  PrepareDryRun,
  RunResult,
  RunsCompareResult,
  RunsShowResult,
} from '../schema/results.ts'

// recipes/brats.yaml through every verb, on two volumes of which one has no enhancing tumour. Their masks are an
// algorithm's and the training is of seconds: nothing here is about accuracy.
const root = fileURLToPath(new URL('../../', import.meta.url))
const data = join(root, '../shared/data/Task01_BrainTumour_like')
const recipe = join(root, 'recipes/brats.yaml')
const skip = !existsSync(join(data, 'dataset.json'))
  ? 'shared/data/Task01_BrainTumour_like is not beside the checkout'
  : !existsSync(join(root, '.venv', 'bin', 'python'))
    ? 'no Python environment; run "npm run setup"'
    : false

let dir: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-brats-'))
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
const sets = (seed: number) =>
  [
    `data.root=${data}`,
    `data.split={val: 0.5, test: 0, seed: ${seed}}`,
    'train.epochs=4',
    'train.patch_size=[32, 48, 48]',
  ].flatMap((set) => ['--set', set])

let runs: RunResult[] = []

/** The recipe with the data that `sets` names, for verbs that take another recipe as `--data`. */
async function here(): Promise<string> {
  const path = join(dir, 'here.yaml')
  const text = await readFile(recipe, 'utf8')
  await writeFile(path, text.replace(/^ {2}root: .*$/m, `  root: ${data}`))
  return path
}

async function firstImage(): Promise<string> {
  const [name] = (await readdir(join(data, 'imagesTr'))).filter((one) => !one.startsWith('.'))
  return join(data, 'imagesTr', name!)
}

test('init and inspect see four modalities, nested regions, and that one case has no enhancing tumour', {
  skip,
}, () => {
  const init = parse(InitResult, typed('init', data, '--out', 'drafted.yaml'), 'init')
  assert.match(init.text, /regions: \{ WT: \[1, 2, 3\], TC: \[2, 3\], ET: \[3\] \}/)
  const inspect = parse(InspectResult, typed('inspect', recipe, ...sets(0)), 'inspect')
  assert.deepEqual(inspect.labels.ET, { positive: 1, negative: 1, unknown: 0 })
  assert.deepEqual(inspect.labels.WT, { positive: 2, negative: 0, unknown: 0 })
  assert.equal(inspect.volumes!.channels, 4)
})

test('prepare --dry-run states the bytes that prepare then needs, on the grid of the recipe', {
  skip,
}, () => {
  const dry = parse(PrepareDryRun, typed('prepare', recipe, ...sets(0), '--dry-run'), 'prepare --dry-run')
  assert.equal(dry.cases, 2)
  const made = typed('prepare', recipe, ...sets(0)) as { bytes: number }
  assert.ok(Math.abs(made.bytes / dry.bytes - 1) < 0.25, `${made.bytes} of ${dry.bytes}`)
})

test('run trains, measures and certifies, whichever of the two cases it learns from', { skip }, () => {
  runs = [0, 1].map((seed) => parse(RunResult, typed('run', recipe, ...sets(seed)), 'run'))
  for (const run of runs) {
    assert.equal(run.train.status, 'finished')
    assert.equal(run.package.certificate.passed, true)
  }
})

test('the numbers say where there is no enhancing tumour: no Dice of 1 for an empty mask, no Dice without a reference', {
  skip,
}, () => {
  const outcomes = runs.map((run) => {
    const evaluation = parse(SegmentEvaluation, typed('evaluate', run.run_dir), 'evaluate')
    const { ET } = evaluation.per_label
    const [{ per_label }] = evaluation.per_case as [SegmentEvaluation['per_case'][number]]
    const one = per_label.ET!
    assert.equal(ET!.counted + ET!.correctly_absent, 1)
    if (one.reference_ml > 0) assert.equal(ET!.found + ET!.missed, 1)
    else if (one.prediction_ml > 0) assert.deepEqual([ET!.falsely_present, ET!.dice.value], [1, 0])
    else assert.deepEqual([ET!.correctly_absent, ET!.dice.value], [1, null])
    return one.reference_ml > 0
  })
  assert.deepEqual(outcomes.toSorted(), [false, true], 'each of the two was validated once')
})

test('predict gives a mask on the grid of the file, in the codes of dataset.json', { skip }, async () => {
  const file = await firstImage()
  const result = parse(
    PredictResult,
    typed('predict', runs[0]!.package_dir, file, '--out', 'masks'),
    'predict',
  )
  const [image, mask] = [
    await readNifti(await readFile(file)),
    await readNifti(await readFile(join(dir, result.predictions[0]!.mask!))),
  ]
  assert.deepEqual([mask.shape, mask.affine, mask.channels], [image.shape, image.affine, 1])
  assert.ok([...new Set(mask.data)].every((value) => [0, 1, 2, 3].includes(value)))
})

test('package --verify --data finds the case that certified the package, and its mask is the same', {
  skip,
}, async () => {
  const { certificate } = parse(
    PackageResult,
    typed('package', '--verify', runs[0]!.package_dir, '--data', await here()),
    'package --verify',
  )
  assert.equal(certificate.passed, true)
  const absent = certificate.checks.find(({ name }) => name === 'validation_files_absent')
  assert.equal(absent?.value, 0)
})

test('evaluate takes the package to a recipe, and says that it was built on these very data', {
  skip,
}, async () => {
  const evaluation = parse(
    SegmentEvaluation,
    typed('evaluate', runs[0]!.package_dir, '--data', await here(), '--split', 'all'),
    'evaluate',
  )
  assert.equal(evaluation.cases, 2)
  assert.match(evaluation.warnings.join('\n'), /built on images of this very data set/)
})

test('serve answers a .nii.gz with the mask that predict wrote', { skip }, async () => {
  const file = await firstImage()
  const args = ['serve', runs[0]!.package_dir, '--port', '0', '--json']
  const child = spawn(join(root, 'fiducial'), args, { cwd: dir, stdio: ['ignore', 'pipe', 'ignore'] })
  try {
    const [line] = await once(createInterface(child.stdout), 'line')
    const { url } = JSON.parse(line) as { url: string }
    const answer = await fetch(`${url}/v1/predict`, {
      method: 'POST',
      headers: { 'content-type': 'application/gzip' },
      body: await readFile(file),
    })
    const { predictions } = parse(PredictResult, await answer.json(), 'POST /v1/predict')
    const [mask] = (await readdir(join(dir, 'masks'))).filter((name) => name.endsWith('.nii.gz'))
    const served = Buffer.from(predictions[0]!.mask_base64!, 'base64')
    assert.ok(served.equals(await readFile(join(dir, 'masks', mask!))))
  } finally {
    child.kill('SIGTERM')
  }
})

test('runs show and compare know both runs', { skip }, () => {
  const [first, second] = runs.map((run) => run.run_dir) as [string, string]
  const shown = parse(RunsShowResult, typed('runs', 'show', first), 'runs show')
  assert.equal(shown.status, 'finished')
  const compared = parse(RunsCompareResult, typed('runs', 'compare', first, second), 'runs compare')
  assert.ok('data.split_id' in compared.config)
  assert.ok('dice_mean' in compared.metrics)
})

test('package puts both runs into one, whose networks are averaged', { skip }, () => {
  const out = join(dir, 'ensemble')
  const result = typed('package', ...runs.map((run) => run.run_dir), '--out', out) as {
    certificate: { passed: boolean }
  }
  assert.equal(result.certificate.passed, true)
})
