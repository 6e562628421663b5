// fiducial against nnU-Net v2 on one fold with equal CPU time, on the same machine, one after the other. Ours counts from
// the start of `train` to its end, validations included; nnU-Net's counts its training steps and their data loading.
// node bench/nnunet.ts <python with nnunetv2> <recipe> [fold]
// Prints both mean Dices and the paired difference by case with its bootstrap interval.
import { spawn } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { SegmentEvaluation } from '../src/schema/evaluation_segment.ts'
import type { TrainResult } from '../src/schema/results.ts'
import { loadRecipe } from '../src/verbs/load_recipe.ts'
import { fiducialPath, runFiducial } from './run_fiducial.ts'

const [python, recipePath, fold = '0'] = process.argv.slice(2)
if (python === undefined || recipePath === undefined)
  throw new Error('usage: node bench/nnunet.ts <python> <recipe> [fold]')
const work = await mkdtemp(join(tmpdir(), 'fiducial-nnunet-'))
const recipe = resolve(recipePath)
const { root } = await loadRecipe(recipe)

await runFiducial(['prepare', recipe], work)
const { result: train, cpuSeconds } = await timedTraining()
const ours = await runFiducial<SegmentEvaluation>(['evaluate', train.run_dir], work)

const val = new Set(ours.per_case.map((one) => one.case_id))
const dataset = JSON.parse(await readFile(join(root, 'dataset.json'), 'utf8')) as {
  training: { image: string }[]
}
const ids = dataset.training.map(({ image }) => image.replace(/^.*\//, '').replace('.nii.gz', ''))
const split = join(work, 'split.json')
await writeFile(
  split,
  JSON.stringify({ train: ids.filter((id) => !val.has(id)), val: ids.filter((id) => val.has(id)) }),
)
const masks = join(work, 'masks')
const theirs = JSON.parse(
  (await output(python, [join(import.meta.dirname, 'nnunet.py'), root, split, String(cpuSeconds), masks]))
    .trim()
    .split('\n')
    .at(-1)!,
)

const references = join(work, 'references')
await copyReferences(references, [...val])
const measured = await runFiducial<SegmentEvaluation>(
  [
    'evaluate',
    '--predictions',
    masks,
    '--labels',
    references,
    '--names',
    Object.entries(ours.task.labels)
      .map(([name, values]) => `${name}=${values.join('+')}`)
      .join(','),
  ],
  work,
)
const meanOf = (evaluation: SegmentEvaluation) =>
  new Map(
    evaluation.per_case.map(({ case_id, per_label }) => {
      const dices = Object.values(per_label).flatMap(({ dice }) => dice ?? [])
      return [case_id, dices.reduce((a, b) => a + b, 0) / dices.length]
    }),
  )
const [a, b] = [meanOf(ours), meanOf(measured)]
const differences = [...val].map((id) => a.get(id)! - b.get(id)!)
console.log(
  JSON.stringify(
    {
      fold: Number(fold),
      fiducial: {
        dice_mean: ours.metrics.dice_mean,
        cpu_seconds: Math.round(cpuSeconds),
        steps: train.steps,
      },
      nnunet: { dice_mean: measured.metrics.dice_mean, ...theirs },
      difference: interval(differences),
      work,
    },
    null,
    2,
  ),
)

/** A training and the processor time of all its processes. */
async function timedTraining(): Promise<{ result: TrainResult; cpuSeconds: number }> {
  const args = ['train', recipe, '--set', `data.split.fold=${fold}`, '--new', '--json', '--quiet']
  const times = join(work, 'times')
  const script = 'cd "$1" && shift && TIMEFORMAT="%U %S" && { time "$@" 2>&3; } 3>&2 2>"$TIMES"'
  const text = await output('env', [`TIMES=${times}`, 'bash', '-c', script, '_', work, fiducialPath, ...args])
  const [user, system] = (await readFile(times, 'utf8')).trim().split(' ').map(Number)
  return { result: JSON.parse(text) as TrainResult, cpuSeconds: user! + system! }
}

/** Mean and 95 % percentile bootstrap over cases. */
function interval(values: readonly number[]) {
  let state = 1
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
  const mean = (list: readonly number[]) => list.reduce((x, y) => x + y, 0) / list.length
  const means = Array.from({ length: 10_000 }, () =>
    mean(values.map(() => values[Math.floor(random() * values.length)]!)),
  ).sort((x, y) => x - y)
  return { value: mean(values), low: means[250], high: means[9750] }
}

async function copyReferences(to: string, ids: readonly string[]): Promise<void> {
  await mkdir(to, { recursive: true })
  for (const id of ids) await copyFile(join(root, 'labelsTr', `${id}.nii.gz`), join(to, `${id}.nii.gz`))
}

function output(command: string, args: readonly string[]): Promise<string> {
  return new Promise((done, fail) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    child.on('error', fail)
    child.on('close', (code) => (code === 0 ? done(text) : fail(new Error(`${command} exited ${code}`))))
  })
}
