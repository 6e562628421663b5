/**
 * npm run demo: the phantom data set used as what it is, an instrument with known truth. Each step is a command that
 * anyone can type; this file types it, reads its --json, and says what it shows. `npm run demo -- volumes` does so with
 * volumes and masks.
 */
import assert from 'node:assert/strict'
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Evaluation } from '../src/schema/evaluation.ts'
import type { ModelPackage } from '../src/schema/model_package.ts'
import type { InspectResult, PackageResult, RunResult } from '../src/schema/results.ts'
import { phantomOptimum } from '../src/sources/phantom.ts'
import { heading, say, typeCommand } from './demo/terminal.ts'
import { demoVolumes } from './demo/volumes.ts'

const folder = 'demo'
const started = Date.now()

const recipe = (
  name: string,
  patients: number,
  sharedPatients: number,
) => `# Written by npm run demo: synthetic radiographs, ${name} split.
name: phantom-${name}
data:
  root: ./images-${name}
  source: { kind: phantom, patients: ${patients}, size: 128, seed: 7, shared_patients: ${sharedPatients} }
  split: { official: true, val: 0.25, seed: 0 }
prepare: { size: 96, channels: 1 }
task: { kind: classify, labels: [Cardiomegaly, Effusion] }
model: resnet18
augment: { flip_x: 0 }          # the heart lies on the left, and the marker must stay readable
train: { epochs: 10, global_batch: 32, lr: 1.0e-3, seed: 0 }
`

async function main(): Promise<void> {
  await mkdir(folder, { recursive: true })
  const leaky = join(folder, 'leaky.yaml')
  const clean = join(folder, 'clean.yaml')
  await writeFile(leaky, recipe('leaky', 100, 6))
  await writeFile(clean, recipe('clean', 400, 0))

  heading('1. A split that leaks')
  say('The images are synthetic. Six patients were planted in both parts of the split that comes with them.')
  const inspected = await typeCommand<InspectResult>(['inspect', leaky], { expect: 3 })
  const shared = inspected.json?.leaks ?? []
  for (const leak of shared) say(`   in ${leak.splits.join(' and ')}: ${leak.case_ids.join(', ')}`)
  assert.deepEqual(
    shared.map((leak) => leak.case_ids.join()).toSorted(),
    await plantedCases(join(folder, 'images-leaky')),
    'inspect must name the planted patients, all of them and nobody else',
  )
  say(`=> inspect names ${shared.length} leaks. Training on that split:`)
  const refused = await typeCommand(['train', leaky], { expect: 2 })
  say(
    `=> refused, exit code 2${refused.stderr.includes('allow_leaks') ? '; data.allow_leaks: true would print the leak in every report' : ''}.`,
  )

  heading('2. A model, beside the best that is possible')
  const run = await typeCommand<RunResult>(['run', clean], { expect: 0 })
  if (run.json === null) throw new Error('run printed no result')
  const test = await typeCommand<Evaluation>(['evaluate', run.json.run_dir, '--split', 'test'], { expect: 0 })
  const optimum = await phantomOptimum(join(folder, 'images-clean'))
  say('=> AUROC on the held-out test patients, beside what an ideal reader of these images would reach:')
  for (const [label, evaluated] of Object.entries(test.json?.per_label ?? {})) {
    const { auroc } = evaluated
    const measured =
      auroc.value === null
        ? `undefined (${auroc.reason})`
        : `${auroc.value.toFixed(3)} [${auroc.low?.toFixed(3)}, ${auroc.high?.toFixed(3)}]`
    say(`   ${label.padEnd(14)} measured ${measured}   best possible ${optimum.per_label[label]?.toFixed(3)}`)
  }
  say('   These are phantoms: the numbers say how well the instrument reads, and nothing about patients.')

  heading('3. A package that proves what it computes')
  const packageDir = run.json.package_dir
  const verified = await typeCommand<PackageResult>(['package', '--verify', packageDir, '--data', clean], {
    expect: 0,
  })
  say(`=> certificate passed: ${verified.json?.certificate.checks.length} checks.`)
  const flipped = join(folder, 'flipped-package')
  await rm(flipped, { recursive: true, force: true })
  await cp(packageDir, flipped, { recursive: true })
  const model = JSON.parse(await readFile(join(flipped, 'model.json'), 'utf8')) as ModelPackage
  assert.ok(model.preprocess.kind === 'image')
  model.preprocess.flip = ['x']
  await writeFile(join(flipped, 'model.json'), JSON.stringify(model, null, 2))
  say('\nNow one line of a copy is changed: the images are read mirrored (preprocess.flip: ["x"]).')
  const broken = await typeCommand<PackageResult>(['package', '--verify', flipped, '--data', clean], {
    expect: 3,
  })
  const failed = broken.json?.certificate.checks.filter((check) => !check.passed) ?? []
  for (const check of failed)
    say(`   FAILED ${check.name.padEnd(38)} ${brief(check.value)} (limit ${brief(check.limit)})`)
  for (const behaviour of ['golden_tensors', 'golden_served_difference', 'validation_served_difference'])
    assert.ok(
      failed.some((check) => check.name === behaviour),
      `the mirrored package must fail ${behaviour}: a changed digest alone would prove nothing`,
    )
  say('=> the certificate fails, exit code 3.')

  heading(`Done in ${Math.round((Date.now() - started) / 1000)} s`)
  say(`report   ${run.json.report}`)
  say(`package  ${packageDir}`)
  say(`serve it ./fiducial serve ${packageDir}`)
  say('\nNow yours:  ./fiducial init <your folder>')
}

/** Case ids, joined, of each patient whom the generator put into both parts of its split. */
async function plantedCases(root: string): Promise<string[]> {
  const truth = JSON.parse(await readFile(join(root, 'phantom.json'), 'utf8')) as {
    cases: { case_id: string; patient_id: string; part: string }[]
  }
  return Object.values(Object.groupBy(truth.cases, (found) => found.patient_id))
    .map((cases) => cases!)
    .filter((cases) => new Set(cases.map(({ part }) => part)).size > 1)
    .map((cases) => cases.map(({ case_id }) => case_id).join())
    .toSorted()
}

/** Numbers to three digits, digests to their first eight characters. */
function brief(value: number | string): string {
  return typeof value === 'number' ? String(Number(value.toPrecision(3))) : value.slice(0, 8)
}

const [which = 'images'] = process.argv.slice(2)
if (which === 'images') await main()
else if (which === 'volumes') await demoVolumes()
else {
  say(`There is no demo "${which}".\n  do: npm run demo, or npm run demo -- volumes.`)
  process.exitCode = 2
}
