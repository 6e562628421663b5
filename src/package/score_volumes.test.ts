import assert from 'node:assert/strict'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { readNifti } from '../imaging/nifti/read.ts'
import { writeNifti } from '../imaging/nifti/write.ts'
import { preprocessVolume } from '../imaging/preprocess_volume.ts'
import type { Certificate, ModelPackage } from '../schema/model_package.ts'
import { joinedSha256, sha256 } from '../storage/local.ts'
import { goldenInputs } from './golden.ts'
import { networkInput, prepareInput } from './infer.ts'
import { type LoadedPackage, loadPackage } from './load.ts'
import { readPackage } from './read.ts'
import { TINY_VOLUME_SPEC, writeTinyPackage } from './testing/tiny_package.ts'
import { verifyCertificate } from './verify.ts'

let dir: string
let certificate: Certificate
let loaded: LoadedPackage
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-score-volumes-'))
  certificate = await writeTinyPackage(join(dir, 'package'), { volumes: TINY_VOLUME_SPEC })
  loaded = await loadPackage(join(dir, 'package'), { threads: 1 })
})
after(async () => {
  await loaded.close()
  await rm(dir, { recursive: true })
})
const { inputs: golden } = await goldenInputs(TINY_VOLUME_SPEC)
const scan = golden[0]!.bytes

/** The two channels of a volume in a file each. */
async function channelsOf(bytes: Uint8Array): Promise<Uint8Array[]> {
  const { data, shape, affine } = await readNifti(bytes)
  const size = data.length / 2
  return Promise.all(
    [0, 1].map((c) =>
      writeNifti({ data: data.slice(c * size, (c + 1) * size), channels: 1, shape, affine }, { gzip: false }),
    ),
  )
}
const scoresOf = async (bytes: Uint8Array | readonly Uint8Array[], from = loaded) => {
  const { predictions, failed } = await from.predict([{ name: 'scan.nii.gz', bytes }])
  assert.deepEqual(failed, [])
  return predictions[0]!
}

test('a package of volumes passes the checks that one of images passes, on phantom volumes', () => {
  assert.equal(certificate.passed, true)
  const names = certificate.checks.map(({ name }) => name)
  for (const name of ['golden_tensors', 'golden_batch_7_difference', 'golden_served_flips'])
    assert.ok(names.includes(name), name)
})

test('phantoms are longer than the input along one axis and shorter along another: cropping and padding show', () => {
  const shapes = golden.map(({ stored }) => ('shape' in stored ? stored.shape : null))
  assert.deepEqual(shapes, [
    [2, 6, 9, 8],
    [2, 6, 9, 8],
  ])
})

test('half-precision voxels reach the network as they are stored', async () => {
  const { stored, x } = await prepareInput([scan], loaded.model)
  assert.ok(x instanceof Float16Array)
  assert.equal(x, stored.data)
  assert.deepEqual(stored.data, (await preprocessVolume([scan], TINY_VOLUME_SPEC)).data)
  assert.equal(networkInput(stored, loaded.model), stored.data)
})

test('one file of two channels scores as two files of one, and the hash of the two is that of their hashes', async () => {
  const channels = await channelsOf(scan)
  const [whole, apart] = [await scoresOf(scan), await scoresOf(channels)]
  assert.deepEqual(apart.scores, whole.scores)
  assert.equal(whole.input_sha256, sha256(scan))
  assert.equal(apart.input_sha256, joinedSha256(channels.map((one) => sha256(one))))
  assert.equal(whole.case_id, 'scan', 'without .nii.gz')
})

test('channels in another order are another input', async () => {
  const [whole, swapped] = [await scoresOf(scan), await scoresOf((await channelsOf(scan)).reverse())]
  assert.notDeepEqual(swapped.scores, whole.scores)
})

test('a volume that lacks a channel is listed with the reason, and the next one is scored', async () => {
  const [one] = await channelsOf(scan)
  const { predictions, failed } = await loaded.predict([
    { name: 'half.nii', bytes: one! },
    { name: 'whole.nii.gz', bytes: scan },
  ])
  assert.match(failed[0]!.reason, /has 1 channel; 2 are expected/)
  assert.deepEqual(
    predictions.map(({ case_id }) => case_id),
    ['whole'],
  )
})

test('a volume of one value has a score that means nothing, and says so', async () => {
  const affine = [0, 0, 2, 0, 0, 2, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1]
  const data = new Int16Array(2 * 20 * 21 * 22).fill(7)
  const flat = await writeNifti({ data, channels: 2, shape: [20, 21, 22], affine }, { gzip: false })
  assert.match((await scoresOf(flat)).warnings.join(), /All voxels of the volume have one value/)
})

const edits: [name: string, edit: (model: ModelPackage) => void][] = [
  ['spacing', ({ preprocess }) => Object.assign(preprocess, { spacing_mm: [2, 1, 1.5] })],
  ['orientation', ({ preprocess }) => Object.assign(preprocess, { orientation: 'LPS' })],
  [
    'intensity',
    ({ preprocess }) => Object.assign(preprocess, { intensity: [{ kind: 'none' }, { kind: 'zscore' }] }),
  ],
]
for (const [name, edit] of edits)
  test(`another ${name} in model.json fails the certificate in tensors and scores`, async () => {
    const copy = join(dir, name)
    await cp(join(dir, 'package'), copy, { recursive: true })
    const model = JSON.parse(await readFile(join(copy, 'model.json'), 'utf8')) as ModelPackage
    edit(model)
    await writeFile(join(copy, 'model.json'), JSON.stringify(model, null, 2))
    const served = async (from: LoadedPackage, cases: readonly (readonly Uint8Array[])[]) => {
      const found = await from.predict(cases.map((bytes) => ({ name: 'a', bytes })))
      return found.predictions.map(({ scores }) => Object.values(scores))
    }
    const { passed, checks } = await verifyCertificate(await readPackage(copy), { findFiles: null, served })
    const failed = checks.filter((check) => !check.passed).map((check) => check.name)
    assert.equal(passed, false)
    assert.ok(
      failed.includes('golden_tensors') && failed.includes('golden_batch_1_difference'),
      failed.join(),
    )
  })

test('a size that the network does not take is refused when the package is opened', async () => {
  const copy = join(dir, 'size')
  await cp(join(dir, 'package'), copy, { recursive: true })
  const model = JSON.parse(await readFile(join(copy, 'model.json'), 'utf8'))
  model.preprocess.size = [6, 8, 9]
  await writeFile(join(copy, 'model.json'), JSON.stringify(model))
  await assert.rejects(
    loadPackage(copy, { allowFailed: true }),
    /preprocess gives \[2, 6, 8, 9\], input.shape is/,
  )
})
