import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Evaluation } from '../schema/evaluation.ts'
import { parse } from '../schema/parse.ts'
import { PredictResult, RunResult, ServeReady } from '../schema/results.ts'

// The whole path on radiographs of real patients, with a network of timm.
const root = fileURLToPath(new URL('../../', import.meta.url))
const data = join(root, '../shared/data/chest-kermany')
const skip = !existsSync(join(data, 'labels.csv'))
  ? 'shared/data/chest-kermany is not beside the checkout'
  : !existsSync(join(root, '.venv', 'bin', 'python'))
    ? 'no Python environment; run "npm run setup"'
    : false

let dir: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-kermany-'))
})
after(() => rm(dir, { recursive: true }))

function start(args: readonly string[]): {
  child: ChildProcess
  ended: Promise<{ code: number | null; stdout: string }>
} {
  const child = spawn(join(root, 'fiducial'), [...args, '--json'], { cwd: dir })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => (stdout += chunk))
  child.stderr.on('data', (chunk) => (stderr += chunk))
  const ended = new Promise<{ code: number | null; stdout: string }>((resolve, reject) =>
    child.once('close', (code) =>
      code === 0
        ? resolve({ code, stdout })
        : reject(new Error(`${args.join(' ')} exited ${code}\n${stderr}`)),
    ),
  )
  return { child, ended }
}

/** The object that a command prints. */
async function typed(...args: string[]): Promise<unknown> {
  return JSON.parse((await start(args).ended).stdout)
}

/** The first images of each class, as labels.csv lists them. */
function firstImages(label: string, count: number): string[] {
  const [head, ...rows] = readFileSync(join(data, 'labels.csv'), 'utf8').trim().split(/\r?\n/)
  const [file, column] = ['file', 'label'].map((name) => head!.split(',').indexOf(name))
  const cells = rows.map((row) => row.split(','))
  return cells
    .filter((row) => row[column!] === label)
    .slice(0, count)
    .map((row) => join(data, row[file!]!))
}

let run: RunResult

test('run trains resnet18 on chest-kermany and certifies the package', { skip }, async () => {
  const sets = [`data.root=${data}`, 'prepare.size=64', 'train.epochs=2', 'model=resnet18']
  const flags = sets.flatMap((set) => ['--set', set])
  run = parse(RunResult, await typed('run', join(root, 'recipes/chest-kermany.yaml'), ...flags), 'run')
  assert.equal(run.train.status, 'finished')
  assert.ok(run.package.certificate.passed)
  parse(Evaluation, run.evaluate, 'evaluate of run')
})

test('on held-out patients it tells pneumonia from normal, and the interval holds the value', {
  skip,
}, async () => {
  const evaluation = parse(Evaluation, await typed('evaluate', run.run_dir, '--split', 'test'), 'evaluate')
  const { auroc } = evaluation.per_label.pneumonia!
  assert.equal(evaluation.split, 'test')
  assert.ok(auroc.value !== null && auroc.value > 0.9, JSON.stringify(auroc))
  assert.ok(auroc.low! <= auroc.value && auroc.value <= auroc.high!)
})

test('predict and serve give the same scores, higher for pneumonia than for normal', { skip }, async () => {
  const files = [...firstImages('normal', 5), ...firstImages('pneumonia', 5)]
  const { predictions } = parse(PredictResult, await typed('predict', run.package_dir, ...files), 'predict')
  assert.equal(predictions.length, files.length)
  const scores = predictions.map((found) => found.scores.pneumonia!)
  const mean = (of: readonly number[]) => of.reduce((a, b) => a + b, 0) / of.length
  assert.ok(mean(scores.slice(0, 5)) < mean(scores.slice(5)), scores.join())

  const { child, ended } = start(['serve', run.package_dir, '--port', '0'])
  try {
    const { url } = parse(ServeReady, JSON.parse(await firstLine(child)), 'serve')
    for (const [i, file] of files.entries()) {
      const body = await readFile(file)
      const answer = await fetch(`${url}/v1/predict`, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/octet-stream' },
      })
      const served = parse(PredictResult, await answer.json(), 'the answer')
      assert.ok(Math.abs(served.predictions[0]!.scores.pneumonia! - scores[i]!) <= 1e-6, file)
    }
  } finally {
    child.kill('SIGTERM')
  }
  await ended
})

function firstLine(child: ChildProcess): Promise<string> {
  let text = ''
  return new Promise((resolve, reject) => {
    child.stdout!.on('data', (chunk) => {
      text += chunk
      if (text.includes('\n')) resolve(text)
    })
    child.once('close', () => reject(new Error(`ended without a line: ${text}`)))
  })
}
