import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { PROJECT_ROOT } from '../python/environment.ts'
import { readRun } from '../runs/read.ts'

// Whole trainings as a user starts them, on phantom images, with two gloo ranks or a command line that is killed.
const skip = existsSync(join(PROJECT_ROOT, '.venv', 'bin', 'python'))
  ? false
  : 'no Python environment; run "npm run setup"'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-ranks-'))
  await writeFile(
    join(dir, 'recipe.yaml'),
    `name: ranks
data:
  root: ./images
  source: { kind: phantom, patients: 40, size: 48, seed: 3 }
  split: { official: true, val: 0.3, seed: 0 }
prepare: { size: 32 }
task: { kind: classify, labels: [Cardiomegaly, Effusion] }
model: { kind: mlp, hidden: [16] }
train: { global_batch: 8, epochs: 60, validate_every: 20, device: cpu, precision: fp32 }
`,
  )
})
afterEach(() => rm(dir, { recursive: true }))

function train(...flags: string[]) {
  const child = spawn(join(PROJECT_ROOT, 'fiducial'), ['train', 'recipe.yaml', '--json', ...flags], {
    cwd: dir,
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => (stdout += chunk))
  child.stderr.on('data', (chunk) => (stderr += chunk))
  const ended = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) =>
    child.once('close', (code) => resolve({ code, stdout, stderr })),
  )
  return { child, ended }
}

async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  for (let i = 0; i < 600; i++) {
    if (await condition()) return
    await setTimeout(200)
  }
  throw new Error(`waited two minutes for ${what}`)
}
async function theRun() {
  const [name] = await readdir(join(dir, 'runs')).catch(() => [])
  return name === undefined ? null : readRun(join(dir, 'runs', name)).catch(() => null)
}
const hasSteps = async () => ((await theRun())?.step ?? 0) > 20

test('two ranks train, stop together on SIGTERM, and resume to the end', { skip }, async () => {
  const two = ['--set', 'launch.processes_per_node=2']
  const first = train(...two)
  await until(hasSteps, 'the first steps')
  first.child.kill('SIGTERM')
  const stopped = await first.ended
  assert.equal(stopped.code, 75, stopped.stderr)
  const { code, stdout, stderr } = await train(...two).ended
  assert.equal(code, 0, stderr)
  const result = JSON.parse(stdout) as { status: string; steps: number; resumed_from: number }
  assert.deepEqual([result.status, result.resumed_from], ['finished', JSON.parse(stopped.stdout).steps])
  const start = (await theRun())!.events.find((e) => e.type === 'start')!
  assert.equal(start.world_size, 2)
  assert.match(await readFile(join((await theRun())!.dir, 'logs', 'rank-1.log'), 'utf8'), /^--- rank 1 of 2/)
})

test('a training whose command line is killed stops, and the same command resumes it', { skip }, async () => {
  const first = train()
  await until(hasSteps, 'the first steps')
  first.child.kill('SIGKILL')
  await first.ended
  await until(async () => (await theRun())?.status === 'stopped', 'the engine to stop')
  const { code, stdout, stderr } = await train().ended
  assert.equal(code, 0, stderr)
  const result = JSON.parse(stdout) as { status: string; resumed_from: number }
  assert.ok(result.resumed_from > 20)
})
