import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { readNifti } from '../imaging/nifti/read.ts'
import { writeNifti } from '../imaging/nifti/write.ts'
import { readRun } from '../runs/read.ts'
import { PhantomVolumesSource } from '../schema/data.ts'
import { PredictResult, type TrainResult } from '../schema/results.ts'
import { ensurePhantomVolumes, pathsOf } from '../sources/phantom_volumes_write.ts'
import { sha256 } from '../storage/local.ts'
import { evaluate } from '../verbs/evaluate.ts'
import { quietIo } from '../verbs/io.ts'
import { type LoadedRecipe, loadRecipe } from '../verbs/load_recipe.ts'
import { packageRun } from '../verbs/package.ts'
import { verifyPackage } from '../verbs/package_verify.ts'
import { predict } from '../verbs/predict.ts'
import { serve } from '../verbs/serve.ts'
import { train } from '../verbs/train.ts'
import { readValPredictions } from '../verbs/val_predictions.ts'

// Whether a phantom volume holds a lesion, through every verb, from a table with a file a channel. How well it is told is
// not the question here.
const skip = existsSync(fileURLToPath(new URL('../../.venv/bin/python', import.meta.url)))
  ? false
  : 'no Python environment; run "npm run setup"'

const RECIPE = `
name: lesion
data:
  root: .
  source:
    kind: csv
    file: labels.csv
    image: [first, second]
    case_id: id
    patient: patient
    labels: { column: label, negative: [none] }
    attributes: [orientation]
  split: { val: 0.4, test: 0.2, seed: 0 }
prepare: { spacing_mm: [9, 8, 7], size: [12, 11, 13], intensity: zscore }
task: { kind: classify, labels: [lesion] }
model: { kind: resnet3d, depth: 10, base_channels: 2 }
train: { epochs: 1, global_batch: 4, lr: 1.0e-3, device: cpu, precision: fp32 }
evaluate: { subgroups: [orientation], bootstrap: 100 }
package: { certify_cases: 3 }
`

const io = quietIo()
const cwd = process.cwd()
let dir: string
let recipe: LoadedRecipe
let trained: TrainResult
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-classify-volumes-'))
  process.chdir(dir)
  if (skip) return
  await writeTable()
  recipe = await loadRecipe(join(dir, 'lesion.yaml'))
  trained = await train(recipe, { workers: 1 }, io)
})
after(async () => {
  process.chdir(cwd)
  await rm(dir, { recursive: true })
})

/** The phantom volumes with their channels apart, as `predict` tells them, and a table of them. */
async function writeTable(): Promise<void> {
  const source = PhantomVolumesSource.parse({
    ...{ kind: 'phantom_volumes', patients: 12, volumes_per_patient: [1, 1] },
    ...{ voxel_mm: 6, prevalence: 0.5 },
  })
  const phantom = join(dir, 'phantom')
  const { cases } = await ensurePhantomVolumes(source, phantom)
  await mkdir(join(dir, 'scans'))
  const rows = ['id,first,second,patient,label,orientation']
  for (const one of cases) {
    const { data, shape, affine } = await readNifti(await readFile(join(phantom, pathsOf(one).image)))
    const size = data.length / 2
    const names = [0, 1].map((c) => `scans/${one.case_id}_000${c}.nii.gz`)
    for (const [c, name] of names.entries()) {
      const volume = { data: data.slice(c * size, (c + 1) * size), channels: 1, shape, affine }
      await writeFile(join(dir, name), await writeNifti(volume, { gzip: true }))
    }
    const label = one.volumes_ml.Lesion > 0 ? 'lesion' : 'none'
    rows.push([one.case_id, ...names, one.patient_id, label, one.orientation].join(','))
  }
  await writeFile(join(dir, 'labels.csv'), `${rows.join('\n')}\n`)
  await writeFile(join(dir, 'lesion.yaml'), RECIPE)
}

test('a run of volumes is evaluated as one of images: metrics, operating point, subgroups, slices', {
  skip,
}, async () => {
  const evaluation = await evaluate({ run: trained.run_dir }, { split: 'val' }, io)
  assert.ok('operating_points' in evaluation)
  assert.equal(evaluation.operating_points.lesion?.chosen_on, 'val')
  assert.ok(Object.keys(evaluation.subgroups).length > 0)
  const report = await readFile(join(trained.run_dir, 'report.html'), 'utf8')
  assert.match(report, /<img[^>]+src="data:image\/png;base64,/)
})

let packageDir: string
test('its package is certified from the files, the shards and the server, by the hash of the hashes', {
  skip,
}, async () => {
  const made = await packageRun(trained.run_dir, {}, io)
  packageDir = made.package_dir
  assert.deepEqual(
    made.certificate.checks.filter((check) => !check.passed),
    [],
  )
  const names = made.certificate.checks.map(({ name }) => name)
  for (const name of ['tensors', 'stored_batch_7_difference', 'served_difference', 'predictions_flips'])
    assert.ok(names.includes(`validation_${name}`), name)
  const { validation } = JSON.parse(await readFile(join(packageDir, 'certificate.json'), 'utf8'))
  assert.equal(validation.length, 3)
  const hashes = await caseHashes()
  for (const { file_sha256 } of validation) assert.ok(hashes.has(file_sha256))
  const card = await readFile(join(packageDir, 'MODEL_CARD.md'), 'utf8')
  assert.match(card, /series of 2 channels; .* resampled to 9 × 8 × 7 mm .* padded to 12 × 11 × 13 voxels/)
})

/** Hash of the hashes of a case's two files, a line each. */
async function caseHashes(): Promise<Set<string>> {
  const files = (await readdir(join(dir, 'scans'))).sort()
  const hashes = await Promise.all(
    files.map(async (name) => sha256(await readFile(join(dir, 'scans', name)))),
  )
  return new Set(hashes.flatMap((one, i) => (i % 2 === 0 ? [sha256(`${one}\n${hashes[i + 1]}\n`)] : [])))
}

test('--verify finds the cases among the files of the recipe', { skip }, async () => {
  const { certificate } = await verifyPackage(packageDir, { data: recipe }, io)
  assert.equal(certificate.passed, true)
  assert.deepEqual(
    certificate.checks.find(({ name }) => name === 'validation_files_absent'),
    { name: 'validation_files_absent', passed: true, value: 0, limit: 0 },
  )
})

test('predict gives the files of a folder the scores that validation saw', { skip }, async () => {
  const validated = (await readValPredictions(await readRun(trained.run_dir), io)).predictions
  const { predictions, failed } = await predict(packageDir, ['scans'], {}, io)
  assert.deepEqual([predictions.length, failed], [12, []])
  for (const { case_id, scores } of validated) {
    const found = predictions.find((one) => one.case_id === case_id)!
    assert.ok(Math.abs(found.scores.lesion! - scores.lesion!) < 1e-5, case_id)
  }
})

test('the package is evaluated on the files of a recipe, and says that it was built on them', {
  skip,
}, async () => {
  const evaluation = await evaluate(
    { package: packageDir, data: recipe },
    { split: 'all', out: 'external' },
    io,
  )
  assert.equal(evaluation.cases, 12)
  assert.match(evaluation.warnings.join('\n'), /built on images of this very data set/)
  assert.match(await readFile('external/report.html', 'utf8'), /data:image\/png;base64,/)
})

test('the server answers with the object that predict gives', { skip }, async () => {
  const [first, second] = (await readdir('scans')).sort()
  const here = await predict(packageDir, [join('scans', first!), join('scans', second!)], {}, io)
  const stop = new AbortController()
  let served: PredictResult | undefined
  await serve(
    [packageDir],
    { port: 0 },
    async ({ url }) => {
      const form = new FormData()
      for (const name of [first!, second!])
        form.append('file', new Blob([await readFile(join('scans', name))]), name)
      const answer = await fetch(`${url}/v1/predict`, { method: 'POST', body: form })
      served = PredictResult.parse(await answer.json())
      stop.abort()
    },
    { ...io, signal: stop.signal },
  )
  const comparable = ({ predictions }: PredictResult) =>
    predictions.map(({ seconds: _, file: __, ...one }) => one)
  assert.deepEqual(comparable(served!), comparable(here))
})
