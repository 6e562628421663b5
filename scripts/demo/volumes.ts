import assert from 'node:assert/strict'
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { measureMasks } from '../../src/evaluate/measure_masks.ts'
import { voxelSizes } from '../../src/imaging/geometry/affine.ts'
import { axcodes } from '../../src/imaging/geometry/orientation.ts'
import { readNifti } from '../../src/imaging/nifti/read.ts'
import type { Volume } from '../../src/imaging/volume.ts'
import type { SegmentEvaluation } from '../../src/schema/evaluation_segment.ts'
import type { InspectResult, PackageResult, PredictResult, RunResult } from '../../src/schema/results.ts'
import type { SegmentPackage } from '../../src/schema/segment_package.ts'
import { type PhantomVolumesManifest, readVolumesManifest } from '../../src/sources/phantom_volumes_write.ts'
import { maskPairOf } from '../../src/verbs/read_masks.ts'
import { heading, say, typeCommand } from './terminal.ts'

const folder = 'demo'
const STRUCTURES = ['Organ', 'Lesion'] as const

const RECIPE = `# Written by npm run demo -- volumes: synthetic volumes of two modalities.
name: phantom-volumes
data:
  root: ./volumes
  source: { kind: phantom_volumes, patients: 24, seed: 7 }
  split: { val: 0.25, test: 0.25, seed: 0 }
prepare: { spacing_mm: [3, 3, 3], orientation: RAS, intensity: zscore }
task: { kind: segment, labels: { Organ: 1, Lesion: 2 } }
model: { kind: unet3d, channels: [16, 32, 64], residual_units: 1 }
train: { epochs: 36, global_batch: 4, lr: 4.0e-3, seed: 0 }
`

/** The same with volumes: what was found in them, where it lies, and a package whose sides were swapped. */
export async function demoVolumes(): Promise<void> {
  const started = Date.now()
  await mkdir(folder, { recursive: true })
  const recipe = join(folder, 'volumes.yaml')
  await writeFile(recipe, RECIPE)

  heading('1. Volumes of every orientation')
  say(
    'The volumes are synthetic: an organ on the right of a body, in some patients with a lesion, and its twin on',
  )
  say('the left that is neither. They are stored in seven orientations, half of them tilted.')
  const inspected = await typeCommand<InspectResult>(['inspect', recipe], { expect: 0 })
  for (const [name, { positive, negative }] of Object.entries(inspected.json?.labels ?? {}))
    say(`=> ${name.padEnd(7)} in ${positive} volumes, absent from ${negative}`)

  heading('2. From files to a measured model')
  const run = (await typeCommand<RunResult>(['run', recipe], { expect: 0 })).json
  if (run === null) throw new Error('run printed no result')
  const test = (
    await typeCommand<SegmentEvaluation>(['evaluate', run.run_dir, '--split', 'test'], { expect: 0 })
  ).json
  if (test === null) throw new Error('evaluate printed no result')
  say(`=> Dice on the ${test.cases} volumes of the ${test.patients} held-out test patients:`)
  for (const name of STRUCTURES) {
    const { dice, counted, found, falsely_present, correctly_absent } = test.per_label[name]!
    const measured =
      dice.value === null
        ? `undefined (${dice.reason})`
        : `${dice.value.toFixed(3)} [${dice.low?.toFixed(3)}, ${dice.high?.toFixed(3)}]`
    say(
      `   ${name.padEnd(7)} ${measured}   found in ${found} of ${counted}; where there is none, drawn in ${falsely_present} of ${falsely_present + correctly_absent}`,
    )
  }
  say('   These are phantoms: the numbers say how well the instrument reads, and nothing about patients.')

  heading("3. The mask, back on the file's own grid")
  const truth = await readVolumesManifest(join(folder, 'volumes'))
  assert.ok(truth)
  const shown = await crookedCase(truth, test)
  const file = join(folder, 'volumes', 'imagesTr', `${shown.case_id}.nii.gz`)
  const out = join(folder, 'volumes-masks')
  await rm(out, { recursive: true, force: true })
  const predicted = await predictOne(run.package_dir, file, out)
  const image = await readNifti(await readFile(file))
  const mask = await readNifti(await readFile(predicted.mask))
  say(`=> ${shown.case_id} is stored ${gridText(image)}`)
  assert.deepEqual(mask.shape, image.shape, 'the mask must have the shape of the file')
  assert.deepEqual(mask.affine, image.affine, 'the mask must lie where the file lies')
  say('   the mask has the same shape and affine, number for number. Its volumes, beside the truth:')
  await compare(predicted, shown)

  heading('4. A package that proves what it computes')
  const verified = await typeCommand<PackageResult>(['package', '--verify', run.package_dir], { expect: 0 })
  say(`=> certificate passed: ${verified.json?.certificate.checks.length} checks.`)
  const flipped = join(folder, 'flipped-volumes-package')
  await rm(flipped, { recursive: true, force: true })
  await cp(run.package_dir, flipped, { recursive: true })
  const model = JSON.parse(await readFile(join(flipped, 'model.json'), 'utf8')) as SegmentPackage
  model.preprocess.orientation = 'LAS'
  await writeFile(join(flipped, 'model.json'), JSON.stringify(model, null, 2))
  say('\nNow one letter of a copy is changed: x runs to the Left (preprocess.orientation: "LAS").')
  const broken = await typeCommand<PackageResult>(['package', '--verify', flipped], { expect: 3 })
  const failed = broken.json?.certificate.checks.filter((check) => !check.passed) ?? []
  for (const { name, value, limit } of failed)
    say(`   FAILED ${name.padEnd(30)} ${brief(value)} (limit ${brief(limit)})`)
  for (const behaviour of ['golden_tensors', 'golden_probability_difference', 'golden_masks_differing_share'])
    assert.ok(
      failed.some((check) => check.name === behaviour),
      `the mirrored package must fail ${behaviour}: a changed digest alone would prove nothing`,
    )
  say('=> the certificate fails, exit code 3. What it would have drawn, had nobody asked:')
  const wrong = await predictOne(flipped, file, join(folder, 'volumes-masks-flipped'), ['--allow-failed'])
  await compare(wrong, shown)
  say('   A volume can look right while its mask lies on the twin, on the other side.')

  heading(`Done in ${Math.round((Date.now() - started) / 1000)} s`)
  say(`report   ${run.report}`)
  say(`package  ${run.package_dir}`)
  say(`mask     ${predicted.mask}`)
  say("\nNow yours:  ./fiducial init <your folder in the Decathlon's or nnU-Net's layout>")
}

/** A held-out volume with a lesion, tilted, and stored in another order of axes than the network sees. */
async function crookedCase(
  { cases }: PhantomVolumesManifest,
  { per_case }: SegmentEvaluation,
): Promise<PhantomVolumesManifest['cases'][number]> {
  const heldOut = new Set(per_case.map((one) => one.case_id))
  const candidates = cases.filter((one) => heldOut.has(one.case_id) && one.volumes_ml.Lesion > 0)
  const crooked = []
  for (const one of candidates) {
    const { affine } = await readNifti(
      await readFile(join(folder, 'volumes', 'labelsTr', `${one.case_id}.nii.gz`)),
    )
    const isTilted = affine.slice(0, 12).filter((value, k) => k % 4 !== 3 && value !== 0).length > 3
    const isPermuted = !/^[RL][AP][SI]$/.test(one.orientation)
    crooked.push({ one, score: Number(isTilted) + Number(isPermuted) })
  }
  const best = crooked.sort((a, b) => b.score - a.score)[0]
  assert.ok(best, 'the test split holds no volume with a lesion')
  return best.one
}

async function predictOne(
  packageDir: string,
  file: string,
  out: string,
  flags: string[] = [],
): Promise<{ mask: string; volumes_ml: Record<string, number> }> {
  const result = await typeCommand<PredictResult>(['predict', packageDir, file, '--out', out, ...flags], {
    expect: 0,
  })
  const found = result.json?.predictions[0]
  assert.ok(found?.mask !== undefined && found.volumes_ml !== undefined)
  return { mask: found.mask, volumes_ml: found.volumes_ml }
}

/** A mask beside the truth: the exact volumes of the ellipsoids, and the reference voxels on the same grid. */
async function compare(
  { mask, volumes_ml }: { mask: string; volumes_ml: Record<string, number> },
  truth: PhantomVolumesManifest['cases'][number],
): Promise<void> {
  const reference = join(folder, 'volumes', 'labelsTr', `${truth.case_id}.nii.gz`)
  const pair = maskPairOf({
    prediction: await readNifti(await readFile(mask)),
    reference: await readNifti(await readFile(reference)),
  })
  const { per_label } = measureMasks(pair, { Organ: [1], Lesion: [2] }, 1)
  for (const name of STRUCTURES)
    say(
      `   ${name.padEnd(7)} predicted ${millilitres(volumes_ml[name]!)}   true ${millilitres(truth.volumes_ml[name])}   Dice ${(per_label[name]!.dice ?? 0).toFixed(3)}`,
    )
}

function gridText({ shape, affine }: Volume): string {
  const isTilted = affine.slice(0, 12).filter((value, k) => k % 4 !== 3 && value !== 0).length > 3
  const sizes = voxelSizes(affine).map((mm) => mm.toFixed(1))
  return `${axcodes(affine)}${isTilted ? ', tilted' : ''}: ${shape.join(' × ')} voxels of ${sizes.join(' × ')} mm (z, y, x)`
}

const millilitres = (ml: number) => `${ml.toFixed(2).padStart(5)} ml`

/** Numbers to three digits, digests to their first eight characters. */
const brief = (value: number | string) =>
  typeof value === 'number' ? String(Number(value.toPrecision(3))) : value.slice(0, 8)
