import assert from 'node:assert/strict'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { preprocess } from '../imaging/preprocess.ts'
import { UserError } from '../schema/errors.ts'
import type { ModelPackage } from '../schema/model_package.ts'
import type { ImageSpec } from '../schema/preprocess.ts'
import { sha256 } from '../storage/local.ts'
import { hasPassed, type RealCase } from './certify.ts'
import { readGolden } from './golden.ts'
import { loadPackage } from './load.ts'
import { makePhantoms } from './phantoms.ts'
import { readPackage } from './read.ts'
import { TINY_SPEC, type TinyPackageOptions, writeTinyPackage } from './testing/tiny_package.ts'
import { type VerifyOptions, verifyCertificate } from './verify.ts'

let scratch = ''
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'fiducial-certify-'))
})
after(() => rm(scratch, { recursive: true, force: true }))

const served: VerifyOptions['served'] = async (loaded, files) => {
  const { predictions } = await loaded.predict(files.map((bytes, i) => ({ name: String(i), bytes })))
  return predictions.map(({ scores }) => loaded.model.task.labels.map((label) => scores[label]!))
}
let made = 0
async function tiny(options: TinyPackageOptions = {}) {
  const dir = join(scratch, String(made++))
  return { dir, certificate: await writeTinyPackage(dir, options) }
}
/** A copy of the package with model.json edited, verified without validation files. */
async function verifyEdited(dir: string, edit: (model: ModelPackage) => void) {
  const copy = join(scratch, String(made++))
  await cp(dir, copy, { recursive: true })
  const model = JSON.parse(await readFile(join(copy, 'model.json'), 'utf8')) as ModelPackage
  edit(model)
  await writeFile(join(copy, 'model.json'), JSON.stringify(model, null, 2))
  return verifyCertificate(await readPackage(copy), { findFiles: null, served })
}
const failing = (checks: readonly { name: string; passed: boolean }[]) =>
  checks.filter((check) => !check.passed).map((check) => check.name)

test('a package that computes what its reference did passes, at every batch size', async () => {
  const { dir, certificate } = await tiny()
  assert.equal(certificate.passed, true)
  const names = certificate.checks.map((check) => check.name)
  for (const batch of [1, 2, 7]) assert.ok(names.includes(`golden_batch_${batch}_difference`))
  assert.ok(names.includes('golden_served_flips'))
  const again = await verifyEdited(dir, () => {})
  assert.deepEqual(failing(again.checks), [])
  assert.equal(again.passed, true)
})

test('golden inputs: one of each accepted format, the 16-bit PNG only where a window maps it', async () => {
  const { dir } = await tiny()
  const files = async (of: string) =>
    JSON.parse(await readFile(join(of, 'golden/golden.json'), 'utf8')).inputs.map(
      (i: { file: string }) => i.file,
    )
  assert.deepEqual(await files(dir), [
    'grey-8bit.png',
    'colour-turned.jpg',
    'colour.tif',
    'colour.webp',
    'grey.dcm',
  ])
  const wide = await tiny({ spec: { window: { low: 100, high: 4000 }, dtype: 'int16' } })
  assert.deepEqual(await files(wide.dir), ['grey-16bit.png', 'colour.tif', 'grey.dcm'])
  const narrow = await tiny({ spec: { window: { low: 10, high: 240 } } })
  assert.equal((await files(narrow.dir)).length, 6)
})

describe('editing preprocess in model.json is seen in the golden tensors, and in the scores', () => {
  const edits: [string, Partial<ImageSpec>, Partial<ImageSpec>][] = [
    ['a flip', {}, { flip: ['x'] }],
    ['an upside-down flip', {}, { flip: ['y'] }],
    ['no antialiasing', {}, { antialias: false }],
    ['antialiasing where there was none', { antialias: false }, { antialias: true }],
    ['another filter', {}, { resample: 'bicubic' }],
    ['padding', {}, { fit: 'pad' }],
    ['cropping', {}, { fit: 'crop' }],
    ['another fill', { fit: 'pad' }, { pad_value: 128 }],
    ['swapped channels', { channels: 3 }, { channel_order: 'bgr' }],
    ['ignored EXIF turns', {}, { exif_orientation: false }],
    ['a window', {}, { window: { low: 0, high: 200 } }],
    [
      'another window',
      { window: { low: 0, high: 4095 }, dtype: 'int16' },
      { window: { low: 0, high: 4000 } },
    ],
    ['another 8-bit window', { window: { low: 0, high: 255 } }, { window: { low: 5, high: 255 } }],
    [
      'stain normalisation',
      { channels: 3 },
      { stain: { kind: 'reinhard', target_mean: [8.7, -0.1, 0.02], target_std: [0.6, 0.1, 0.03] } },
    ],
  ]
  for (const [name, spec, edit] of edits)
    test(name, async () => {
      const { dir, certificate } = await tiny({ spec })
      assert.equal(certificate.passed, true)
      const { passed, checks } = await verifyEdited(dir, (model) => Object.assign(model.preprocess, edit))
      assert.equal(passed, false)
      const names = failing(checks)
      assert.ok(names.includes('model_json'))
      assert.ok(names.includes('golden_tensors') || names.includes('golden_tensors_lossy'), names.join())
      assert.ok(names.includes('golden_batch_1_difference'), names.join())
    })
})

test('another mean before a float32 graph changes the golden scores', async () => {
  const { dir } = await tiny({ dtype: 'float32' })
  const { checks } = await verifyEdited(dir, (model) => {
    model.input.normalization!.mean = [0.44]
  })
  assert.ok(failing(checks).includes('golden_batch_1_difference'))
})

test('another activation, and labels in another order, change the golden scores', async () => {
  const { dir } = await tiny()
  const swapped = await verifyEdited(dir, (model) => {
    model.task.labels.reverse()
  })
  assert.ok(failing(swapped.checks).includes('golden_batch_1_difference'))
  const softmax = await verifyEdited(dir, (model) => {
    model.output.activation = 'softmax'
  })
  assert.ok(failing(softmax.checks).includes('golden_batch_1_difference'))
})

test('a moved threshold fails although no score changes', async () => {
  const { dir } = await tiny()
  const { passed, checks } = await verifyEdited(dir, (model) => {
    model.operating_points.nodule!.threshold += 1e-6
  })
  assert.equal(passed, false)
  assert.deepEqual(failing(checks), ['model_json'])
})

async function realCases(dir: string, change: (stored: Uint8Array, i: number) => void): Promise<RealCase[]> {
  const loaded = await loadPackage(dir)
  const cases = await Promise.all(
    (await makePhantoms({ ...TINY_SPEC, size: [40, 50] }))
      .filter(({ file }) => !file.includes('16bit'))
      .map(async ({ bytes }, i) => {
        const stored = (await preprocess(bytes, TINY_SPEC)).data as Uint8Array
        change(stored, i)
        const [reference] = await served(loaded, [[bytes]])
        return {
          file_sha256: sha256(bytes),
          read: async () => [bytes],
          stored,
          reference: () => reference!,
          predicted: reference!,
        }
      }),
  )
  await loaded.close()
  return cases
}

test('real cases are compared from the shard, from the file, through the server and with the run', async () => {
  const { dir } = await tiny()
  const validation = await realCases(dir, () => {})
  const { certificate } = await tiny({ validation })
  assert.deepEqual(failing(certificate.checks), [])
  assert.equal(certificate.validation.length, 5)
  const names = certificate.checks.map((check) => check.name)
  for (const name of ['stored_batch_7', 'file_batch_1', 'served', 'predictions'])
    assert.ok(names.includes(`validation_${name}_difference`), name)
})

test('one stored value that is off by one fails', async () => {
  const { dir } = await tiny()
  const validation = await realCases(dir, (stored, i) => {
    if (i === 2) stored[17] = stored[17]! ^ 1
  })
  const { certificate } = await tiny({ validation })
  assert.equal(certificate.passed, false)
  assert.ok(failing(certificate.checks).includes('validation_tensors'))
})

test('a reference that differs by more than the tolerance, or decides otherwise, fails', async () => {
  const { dir } = await tiny()
  const validation = await realCases(dir, () => {})
  const shifted = validation.map((one) => ({
    ...one,
    reference: () => one.reference(1).map((p) => p + 2e-4),
  }))
  const off = await tiny({ validation: shifted })
  assert.ok(failing(off.certificate.checks).includes('validation_file_batch_2_difference'))
  // A threshold between a score and a reference only 2e-5 away.
  const p = validation[0]!.reference(1)[0]!
  const near = validation.map((one) => ({ ...one, reference: () => one.reference(1).map((q) => q - 2e-5) }))
  const flipped = await tiny({ validation: near, thresholds: { nodule: p - 1e-5 } })
  assert.deepEqual(
    failing(flipped.certificate.checks).filter((name) => name.endsWith('_difference')),
    [],
  )
  assert.ok(failing(flipped.certificate.checks).includes('validation_file_batch_1_flips'))
})

test('verifying finds validation files by their hash; an absent one fails', async () => {
  const first = await tiny()
  const validation = await realCases(first.dir, () => {})
  const { dir } = await tiny({ validation })
  const byHash = new Map(validation.map((one) => [one.file_sha256, one.read]))
  const findFiles = async (hash: string) => byHash.get(hash) ?? null
  const found = await verifyCertificate(await readPackage(dir), { findFiles, served })
  assert.deepEqual(failing(found.checks), [])
  assert.ok(found.checks.some((check) => check.name === 'validation_file_batch_7_difference'))
  byHash.delete(validation[0]!.file_sha256)
  const missing = await verifyCertificate(await readPackage(dir), { findFiles, served })
  assert.deepEqual(failing(missing.checks), ['validation_files_absent'])
})

test('a golden.json that is cut short is one damaged file, and named', async () => {
  const { dir } = await tiny()
  await writeFile(join(dir, 'golden/golden.json'), '{"inputs": [')
  const cut = await readPackage(dir)
  const { passed, checks } = await verifyCertificate(cut, { findFiles: null, served })
  assert.equal(passed, false)
  assert.ok(failing(checks).includes('damaged_files'))
  assert.match(cut.damage.join('\n'), /golden\.json is corrupt/)
  await assert.rejects(
    readGolden(dir),
    (error) => error instanceof UserError && /golden\.json is not JSON/.test(error.message),
  )
})

test('no checks at all is no certificate', () => assert.equal(hasPassed([]), false))
