import assert from 'node:assert/strict'
import { cp, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { stringify } from 'yaml'
import { loadPackage } from '../package/load.ts'
import { findPython } from '../python/environment.ts'
import { UserError } from '../schema/errors.ts'
import { Certificate, ModelPackage } from '../schema/model_package.ts'
import { quietIo } from './io.ts'
import { loadRecipe } from './load_recipe.ts'
import { packageRun } from './package.ts'
import { verifyPackage } from './package_verify.ts'
import { train } from './train.ts'

const RECIPE = {
  name: 'small',
  data: {
    root: 'phantom',
    source: { kind: 'phantom', patients: 40, images_per_patient: [1, 2], size: 40 },
    split: { val: 0.3, test: 0.1 },
  },
  prepare: { size: [24, 20] },
  task: { kind: 'classify', labels: ['Cardiomegaly', 'Effusion'] },
  model: { kind: 'mlp', hidden: [24] },
  train: { epochs: 2, global_batch: 16 },
  package: { certify_cases: 12 },
}
const failing = (checks: readonly { name: string; passed: boolean }[]) =>
  checks.filter((check) => !check.passed).map((check) => check.name)

const python = await findPython().catch(() => null)
const skip = python === null ? 'the Python environment is not set up' : false

describe('a run of ours as a package', { skip }, () => {
  let dir = ''
  let run = ''
  let packaged = ''
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'fiducial-package-run-'))
    await writeFile(join(dir, 'recipe.yaml'), stringify(RECIPE))
    const options = { workers: 1, runDir: join(dir, 'run'), out: join(dir, 'set') }
    run = (await train(await loadRecipe(join(dir, 'recipe.yaml')), options, quietIo())).run_dir
  })
  after(() => rm(dir, { recursive: true, force: true }))

  test('is certified against PyTorch, from the shard, from the file, through the server', async () => {
    const { package_dir, certificate } = await packageRun(run, {}, quietIo())
    packaged = package_dir
    assert.deepEqual(failing(certificate.checks), [])
    const names = certificate.checks.map((check) => check.name)
    for (const batch of [1, 2, 7])
      for (const path of ['stored', 'file'])
        assert.ok(names.includes(`validation_${path}_batch_${batch}_flips`), `${path} ${batch}`)
    for (const name of ['validation_tensors', 'validation_served_difference', 'validation_predictions_flips'])
      assert.ok(names.includes(name), name)
    const written = Certificate.parse(
      JSON.parse(await readFile(join(package_dir, 'certificate.json'), 'utf8')),
    )
    assert.equal(written.validation.length, 12)
  })

  test('says what it is: synthetic, its thresholds, where it came from, what nobody measured', async () => {
    const model = ModelPackage.parse(JSON.parse(await readFile(join(packaged, 'model.json'), 'utf8')))
    assert.equal(model.synthetic, true)
    assert.equal(model.input.dtype, 'uint8')
    assert.deepEqual(Object.keys(model.operating_points), ['Cardiomegaly', 'Effusion'])
    assert.equal(model.operating_points.Cardiomegaly!.chosen_on, 'val')
    assert.equal(model.provenance.run, 'run')
    assert.match(model.provenance.set_id!, /^[0-9a-f]{64}$/)
    const card = await readFile(join(packaged, 'MODEL_CARD.md'), 'utf8')
    for (const part of ['Synthetic', 'To be completed', 'Research use', 'bootstrap intervals'])
      assert.ok(card.includes(part), part)
    const text = JSON.stringify([model, await readFile(join(packaged, 'certificate.json'), 'utf8'), card])
    assert.ok(!text.includes(dir), 'no path of this machine')
  })

  test('is verified on the data set again; another preprocessing is not', async () => {
    const data = await loadRecipe(join(dir, 'recipe.yaml'))
    assert.deepEqual(failing((await verifyPackage(packaged, { data }, quietIo())).certificate.checks), [])
    const edited = join(dir, 'edited')
    await cp(packaged, edited, { recursive: true })
    const path = join(edited, 'model.json')
    await writeFile(path, (await readFile(path, 'utf8')).replace('"flip": []', '"flip": ["x"]'))
    const { certificate } = await verifyPackage(edited, { data }, quietIo())
    const names = failing(certificate.checks)
    for (const name of [
      'model_json',
      'golden_tensors',
      'golden_logits_relative_difference',
      'validation_file_batch_1_difference',
    ])
      assert.ok(names.includes(name), `${name} in ${names}`)
    await assert.rejects(loadPackage(edited), /not certified/)
  })

  test('images that were moved stop packaging before anything is exported, and the message says what to do', async () => {
    await rename(join(dir, 'phantom'), join(dir, 'elsewhere'))
    const out = join(dir, 'moved')
    await assert.rejects(packageRun(run, { out }, quietIo()), (error) => {
      assert.ok(error instanceof UserError)
      assert.match(error.message, /12 of 12 validation images are not where/)
      assert.match(error.message, /--data <recipe>/)
      return true
    })
    const data = await loadRecipe(join(dir, 'recipe.yaml'), ['data.root=elsewhere'])
    const { certificate } = await verifyPackage(packaged, { data }, quietIo())
    assert.deepEqual(failing(certificate.checks), [], 'found by their content')
    const again = await packageRun(run, { out, data }, quietIo())
    assert.equal(again.certificate.checks.find((check) => check.name === 'validation_tensors')?.value, 0)
    await rename(join(dir, 'elsewhere'), join(dir, 'phantom'))
  })

  test('a run that has not been trained is refused', async () => {
    const bare = join(dir, 'bare')
    await cp(run, bare, { recursive: true })
    await rm(join(bare, 'checkpoints'), { recursive: true })
    await assert.rejects(packageRun(bare, { out: join(dir, 'x') }, quietIo()), /no best checkpoint/)
    await assert.rejects(packageRun(dir, {}, quietIo()), /There is no run in/)
  })
})
