import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { encodePng } from '#raster'
import { PROJECT_ROOT } from '../python/environment.ts'
import { readRun } from '../runs/read.ts'

// A whole training on two gloo ranks as a user starts it: command line, agent, torchrun, engine, logs.
const skip = existsSync(join(PROJECT_ROOT, '.venv', 'bin', 'python'))
  ? false
  : 'no Python environment; run "npm run setup"'

let dir: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-two-ranks-'))
})
after(() => rm(dir, { recursive: true }))

/** Two classes of 8 × 8 images, bright and dark, a patient each. */
async function writeData(): Promise<void> {
  await mkdir(join(dir, 'images'))
  const rows = await Promise.all(
    Array.from({ length: 24 }, async (_, i) => {
      const data = new Uint8Array(64).map((_, pixel) => ((pixel * 7 + i * 13) % 90) + (i % 2) * 120)
      await writeFile(
        join(dir, 'images', `${i}.png`),
        await encodePng({ data, height: 8, width: 8, channels: 1 }),
      )
      return `${i}.png,p${i},${i % 2}`
    }),
  )
  await writeFile(join(dir, 'images', 'labels.csv'), `file,patient,bright\n${rows.join('\n')}\n`)
  await writeFile(
    join(dir, 'recipe.yaml'),
    `name: two
data:
  root: ./images
  source: { kind: csv, file: labels.csv, image: file, patient: patient, labels: { columns: { bright: bright } } }
  split: { val: 0.4, test: 0, seed: 0 }
prepare: { size: 8 }
task: { kind: classify, labels: [bright] }
model: { kind: mlp, hidden: [4] }
train: { global_batch: 5, epochs: 2, device: cpu, precision: fp32 }
launch: { processes_per_node: 2 }
`,
  )
}

const fiducial = (...args: string[]) =>
  promisify(execFile)(join(PROJECT_ROOT, 'fiducial'), args, { cwd: dir, timeout: 120_000 })

test('two ranks train one network; the log tells how, and what each rank wrote', { skip }, async () => {
  await writeData()
  const { stdout } = await fiducial('train', 'recipe.yaml', '--json')
  const { run_dir, status } = JSON.parse(stdout) as { run_dir: string; status: string }
  assert.equal(status, 'finished')
  const { events } = await readRun(run_dir)
  assert.equal(events.find((event) => event.type === 'start')?.world_size, 2)
  const logs = (await fiducial('runs', 'logs', run_dir)).stdout
  assert.match(logs, /started: .* 2 ranks, .*\n[\s\S]*epoch 2 · step [\s\S]*finished at step /)
  assert.match(logs, /^\[rank 0\] --- rank 0 of 2[\s\S]*^\[rank 1\] --- rank 1 of 2/m)
  const one = (await fiducial('runs', 'logs', run_dir, '--rank', '1')).stdout
  assert.match(one, /^--- rank 1 of 2/)
})
