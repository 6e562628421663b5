import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Evaluation } from '../schema/evaluation.ts'
import { parse } from '../schema/parse.ts'
import type { Prediction } from '../schema/prediction.ts'
import { PredictResult, RunResult, ServeReady, TrainResult } from '../schema/results.ts'

// The whole path as a user walks it: processes, files and HTTP, on phantom images that are made here.
const root = fileURLToPath(new URL('../../', import.meta.url))
const skip = existsSync(join(root, '.venv', 'bin', 'python'))
  ? false
  : 'no Python environment; run "npm run setup"'

let dir: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-e2e-'))
})
after(() => rm(dir, { recursive: true }))

const recipe = (name: string, train: string, source = '') => `
name: ${name}
data:
  root: ./images${source ? `-${name}` : ''}
  source: { kind: phantom, patients: 40, size: 48, seed: 3${source} }
  split: { official: true, val: 0.3, seed: 0 }
prepare: { size: 32 }
task: { kind: classify, labels: [Cardiomegaly, Effusion] }
model: { kind: mlp, hidden: [16] }
augment: { flip_x: 0 }
train: { lr: 1.0e-3, global_batch: 8, device: cpu, precision: fp32, ${train} }
package: { certify_cases: 8 }
`
async function writeRecipe(name: string, train: string, source = ''): Promise<string> {
  await writeFile(join(dir, `${name}.yaml`), recipe(name, train, source))
  return `${name}.yaml`
}

interface Outcome {
  code: number | null
  stdout: string
  stderr: string
}
function start(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): { child: ChildProcess; ended: Promise<Outcome> } {
  const child = spawn(join(root, 'fiducial'), args, { cwd: dir, env: { ...process.env, ...env } })
  const outcome: Outcome = { code: null, stdout: '', stderr: '' }
  child.stdout.on('data', (chunk) => (outcome.stdout += chunk))
  child.stderr.on('data', (chunk) => (outcome.stderr += chunk))
  const ended = new Promise<Outcome>((resolve) =>
    child.once('close', (code) => resolve({ ...outcome, code })),
  )
  return { child, ended }
}
const fiducial = (...args: string[]) => start(args).ended

/** Resolves as soon as a stream of the child holds a word. */
function seen(child: ChildProcess, word: string): Promise<void> {
  let text = ''
  return new Promise((resolve, reject) => {
    for (const stream of [child.stdout!, child.stderr!])
      stream.on('data', (chunk) => {
        text += chunk
        if (text.includes(word)) resolve()
      })
    child.once('close', () => reject(new Error(`ended without "${word}":\n${text}`)))
  })
}

async function firstLine(child: ChildProcess): Promise<string> {
  let text = ''
  return new Promise((resolve, reject) => {
    child.stdout!.on('data', (chunk) => {
      text += chunk
      if (text.includes('\n')) resolve(text)
    })
    child.once('close', () => reject(new Error(`ended without a line: ${text}`)))
  })
}

const PACKAGE_DIGEST = /"package_digest":"([^"]+)"/

let whole: RunResult

test('dry runs say what would be done, check the data, and write nothing', { skip }, async () => {
  const path = await writeRecipe('dry', 'epochs: 2', ', shared_patients: 0')
  const leaky = await writeRecipe('dry-leaky', 'epochs: 2', ', shared_patients: 3')
  const before = await readdir(dir, { recursive: true })
  for (const [args, plan] of [
    [['init', 'phantom'], /^name: phantom$/m],
    [['prepare', path], /Would make \d+ cases in 1 shard, \d\.\d MB; .* are free, below .*prepared/],
    [['train', path], /prepare the images of .*\n +train mlp with weights none: 2 epochs[\s\S]*runs\/dry-/],
    [['run', path], /train mlp[\s\S]*evaluate on the validation split\n +package with a certificate/],
  ] as const) {
    const { code, stdout, stderr } = await fiducial(...args, '--dry-run')
    assert.equal(code, 0, stderr)
    assert.match(stdout, plan)
  }
  for (const verb of ['train', 'run']) {
    const { code, stderr } = await fiducial(verb, leaky, '--dry-run')
    assert.equal(code, 2)
    assert.match(stderr, /share 3 patients/)
  }
  assert.deepEqual(await readdir(dir, { recursive: true }), before)
})

test('run goes from images to a certified package', { skip }, async () => {
  const path = await writeRecipe('whole', 'epochs: 2')
  const { code, stdout, stderr } = await fiducial('run', path, '--json')
  assert.equal(code, 0, stderr)
  whole = parse(RunResult, JSON.parse(stdout), 'stdout of run')
  assert.equal(whole.train.status, 'finished')
  assert.ok(whole.package.certificate.passed)
  assert.deepEqual(
    whole.stages.map(({ stage, skipped }) => [stage, skipped]),
    [
      ['prepare', false],
      ['train', false],
      ['evaluate', false],
      ['package', false],
    ],
  )
  parse(Evaluation, whole.evaluate, 'evaluate of run')
  assert.match(await readFile(whole.report, 'utf8'), /<html[\s\S]*synthetic/i)
})

test('the same command again finds every stage done, also after another look at validation', {
  skip,
}, async () => {
  assert.equal((await fiducial('evaluate', whole.run_dir)).code, 0)
  const { code, stdout, stderr } = await fiducial('run', 'whole.yaml', '--json')
  assert.equal(code, 0, stderr)
  const again = parse(RunResult, JSON.parse(stdout), 'stdout of run')
  assert.deepEqual(
    again.stages.map(({ skipped }) => skipped),
    [true, true, true, true],
  )
  assert.equal(again.run_dir, whole.run_dir)
  const { stdout: text } = await fiducial('run', 'whole.yaml')
  assert.match(text, /validation {2}synthetic data, which say nothing about patients\n.*AUROC \d\.\d{3} [[(]/)
  assert.match(text, /optimistic[\s\S]*next +\S*fiducial evaluate .* --split test/)
  assert.doesNotMatch(text, /accuracy|f1_mean/)
})

test('with other evaluate and package keys the run is found again, measured and packaged anew', {
  skip,
}, async () => {
  const set = ['--set', 'evaluate.bootstrap=150', '--set', 'package.certify_cases=5']
  const { code, stdout, stderr } = await fiducial('run', 'whole.yaml', '--json', ...set)
  assert.equal(code, 0, stderr)
  const other = parse(RunResult, JSON.parse(stdout), 'stdout of run')
  assert.equal(other.run_dir, whole.run_dir)
  assert.deepEqual(
    other.stages.map(({ skipped }) => skipped),
    [true, true, false, false],
  )
  assert.equal(parse(Evaluation, other.evaluate, 'evaluate of run').bootstrap.resamples, 150)
  const certificate = await readFile(join(other.package_dir, 'certificate.json'), 'utf8')
  assert.equal((JSON.parse(certificate) as { validation: unknown[] }).validation.length, 5)
})

test('predict gives raw files the scores that validation saw', { skip }, async () => {
  const lines = (await readFile(join(whole.run_dir, 'predictions', 'val.jsonl'), 'utf8')).trim().split('\n')
  const validated = lines.map((line) => JSON.parse(line) as Prediction)
  const { code, stdout, stderr } = await fiducial('predict', whole.package_dir, 'images', '--json')
  assert.equal(code, 0, stderr)
  const { predictions } = parse(PredictResult, JSON.parse(stdout), 'stdout of predict')
  for (const { case_id, scores } of validated) {
    const found = predictions.find((p) => basename(p.file).startsWith(case_id))
    for (const [label, score] of Object.entries(scores))
      assert.ok(Math.abs(found!.scores[label]! - score) <= 1e-4, `${case_id} ${label}`)
  }
})

test('serve answers with the same scores as predict, and ends on SIGTERM', { skip }, async () => {
  const file = (await readdir(join(dir, 'images', 'images')))[0]!
  const path = join(dir, 'images', 'images', file)
  const predicted = await fiducial('predict', whole.package_dir, path, '--json')
  const { predictions } = parse(PredictResult, JSON.parse(predicted.stdout), 'stdout of predict')
  const { child, ended } = start(['serve', whole.package_dir, '--port', '0', '--json'])
  try {
    const ready = parse(ServeReady, JSON.parse(await firstLine(child)), 'stdout of serve')
    const answer = await fetch(`${ready.url}/v1/predict`, {
      method: 'POST',
      body: await readFile(path),
      headers: { 'content-type': 'image/png' },
    })
    assert.equal(answer.status, 200)
    const served = parse(PredictResult, await answer.json(), 'the answer')
    assert.deepEqual(served.predictions[0]!.scores, predictions[0]!.scores)
    assert.equal(served.package_digest, PACKAGE_DIGEST.exec(predicted.stdout)?.[1])
  } finally {
    child.kill('SIGTERM')
  }
  assert.equal((await ended).code, 0)
})

test('evaluate --split test is opened on purpose and counted', { skip }, async () => {
  const first = await fiducial('evaluate', whole.run_dir, '--split', 'test', '--json')
  assert.equal(first.code, 0, first.stderr)
  const evaluation = parse(Evaluation, JSON.parse(first.stdout), 'stdout of evaluate')
  assert.deepEqual([evaluation.split, evaluation.test_openings], ['test', 1])
})

test('package --dry-run names the run and the folder, and writes nothing', { skip }, async () => {
  const before = await readdir(whole.run_dir, { recursive: true })
  const { code, stdout, stderr } = await fiducial('package', whole.run_dir, '--out', 'elsewhere', '--dry-run')
  assert.equal(code, 0, stderr)
  assert.match(stdout, /Would:\n +export and certify the run .*whole-[\s\S]*elsewhere/)
  assert.deepEqual(await readdir(whole.run_dir, { recursive: true }), before)
  assert.equal(existsSync(join(dir, 'elsewhere')), false)
})

test('runs list, show and logs know the run', { skip }, async () => {
  const list = await fiducial('runs', 'list')
  assert.match(list.stdout, new RegExp(`${basename(whole.run_dir)} +finished`))
  const show = await fiducial('runs', 'show', basename(whole.run_dir), '--json')
  assert.equal((JSON.parse(show.stdout) as { status: string }).status, 'finished')
  const logs = await fiducial('runs', 'logs', whole.run_dir)
  assert.match(
    logs.stdout,
    /started: \d+ cases train[\s\S]*epoch 2 · step .* · loss .* · validation auroc_mean/,
  )
  assert.match(logs.stdout, /finished at step [\s\S]*^\[rank 0\] --- rank 0 of 1/m)
})

test('train stopped by SIGTERM exits 75, and the same command resumes to the end', {
  skip,
}, async () => {
  const path = await writeRecipe('stopped', 'epochs: 300, validate_every: 100, seed: 5')
  const first = start(['train', path, '--json'])
  await seen(first.child, 'step ')
  const second = await fiducial('train', path)
  assert.equal(second.code, 2)
  assert.match(second.stderr, /Another process is writing this run/)
  first.child.kill('SIGTERM')
  const stopped = await first.ended
  assert.equal(stopped.code, 75, stopped.stderr)
  const soFar = JSON.parse(stopped.stdout) as TrainResult & { exit_code: number }
  assert.deepEqual([soFar.status, soFar.exit_code], ['stopped', 75])

  const resumed = await fiducial('train', path, '--json')
  assert.equal(resumed.code, 0, resumed.stderr)
  const result = parse(TrainResult, JSON.parse(resumed.stdout), 'stdout of train')
  assert.deepEqual([result.run_dir, result.status, result.steps], [soFar.run_dir, 'finished', 1875])
  assert.equal(result.resumed_from, soFar.steps)
})

test('a run folder of another recipe is refused by what differs', { skip }, async () => {
  const path = await writeRecipe('other', 'epochs: 3')
  const { code, stderr } = await fiducial('train', path, '--run-dir', whole.run_dir)
  assert.equal(code, 2)
  assert.match(stderr, /holds a run of another recipe/)
})

test('patients planted in both parts of the given split stop training', { skip }, async () => {
  const path = await writeRecipe('leaky', 'epochs: 1', ', shared_patients: 3')
  const { code, stdout, stderr } = await fiducial('train', path, '--json')
  assert.equal(code, 2)
  assert.match(stderr, /share 3 patients \([\s\S]*allow_leaks/)
  assert.ok(!existsSync(join(dir, 'images-leaky')), 'the table is enough: no image is made or read')
  assert.equal((JSON.parse(stdout) as { exit_code: number }).exit_code, 2)
})

test('a missing Python, model file or weights file is one clear message', { skip }, async () => {
  const noPython = await start(['train', 'whole.yaml'], { FIDUCIAL_PYTHON: '/no/python' }).ended
  assert.deepEqual([noPython.code, noPython.stdout], [2, ''])
  assert.match(noPython.stderr, /^FIDUCIAL_PYTHON names \/no\/python/)
  for (const [override, message] of [
    ['model={file: net.py, name: Net}', /model\.file: there is no net\.py/],
    ['model={kind: resnet18, weights: w.safetensors}', /model\.weights: there is no w\.safetensors/],
    ['model=resnet1818', /resnet1818/],
  ] as const) {
    const { code, stderr } = await fiducial('train', 'whole.yaml', '--set', override)
    assert.equal(code, 2, stderr)
    assert.match(stderr, message)
    assert.doesNotMatch(stderr, /Traceback|\n {4}at /)
  }
})

test('a loss that leaves the numbers stops the run and names the step', { skip }, async () => {
  const path = await writeRecipe(
    'diverging',
    'epochs: 3, clip_norm: null, schedule: constant, optimizer: sgd',
  )
  const { code, stderr } = await fiducial('train', path, '--set', 'train.lr=1.0e30')
  assert.equal(code, 2, stderr)
  assert.match(stderr, /(NaN|not finite|infinite)[\s\S]*step \d+|step \d+[\s\S]*(NaN|not finite|infinite)/i)
})
