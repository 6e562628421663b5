import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { zipSync } from 'fflate'
import { obliqueSeries } from '../imaging/dicom/testing/drawn_series.ts'
import { readNifti } from '../imaging/nifti/read.ts'
import { writeNifti } from '../imaging/nifti/write.ts'
import { goldenInputs } from '../package/golden.ts'
import { type LoadedPackage, loadPackage } from '../package/load.ts'
import { TINY_VOLUME_SPEC, writeTinyPackage } from '../package/testing/tiny_package.ts'
import { PredictResult } from '../schema/results.ts'
import { ServedModels } from '../schema/serving.ts'
import { type AppOptions, buildApp } from './app.ts'

let dir: string
let pairs: LoadedPackage
let single: LoadedPackage
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fiducial-serve-scores-'))
  await writeTinyPackage(join(dir, 'pairs'), { volumes: TINY_VOLUME_SPEC })
  await writeTinyPackage(join(dir, 'single'), {
    volumes: { ...TINY_VOLUME_SPEC, channels: 1, intensity: [{ kind: 'zscore' }] },
  })
  pairs = await loadPackage(join(dir, 'pairs'), { threads: 1 })
  single = await loadPackage(join(dir, 'single'), { threads: 1 })
})
after(async () => {
  await Promise.all([pairs.close(), single.close()])
  await rm(dir, { recursive: true })
})
const scan = (await goldenInputs(TINY_VOLUME_SPEC)).inputs[0]!.bytes

async function ask(model: string, body: Uint8Array | FormData, options: Partial<AppOptions> = {}) {
  const models = new Map([
    ['pairs', pairs],
    ['single', single],
  ])
  const app = await buildApp({ models, version: '0', ...options })
  try {
    const request = new Response(body instanceof FormData ? body : new Uint8Array(body))
    const type = request.headers.get('content-type') ?? 'application/octet-stream'
    const response = await app.inject({
      method: 'POST',
      url: `/v1/models/${model}/predict`,
      headers: { 'content-type': type },
      payload: Buffer.from(await request.arrayBuffer()),
    })
    return { status: response.statusCode, result: PredictResult.parse(response.json()) }
  } finally {
    await app.close()
  }
}
/** All but how long it took. */
const timeless = ({ predictions }: PredictResult) => predictions.map((one) => ({ ...one, seconds: 0 }))

test('a .nii.gz as the body is answered with the object that the package gives', async () => {
  const { status, result } = await ask('pairs', scan)
  assert.equal(status, 200)
  const here = await pairs.predict([{ name: result.predictions[0]!.file, bytes: scan }])
  assert.deepEqual(timeless(result), timeless(here))
})

test('a zip archive of the channels is one case, in the order of their numbers', async () => {
  const { data, shape, affine } = await readNifti(scan)
  const size = data.length / 2
  const [first, second] = await Promise.all(
    [0, 1].map((c) =>
      writeNifti({ data: data.slice(c * size, (c + 1) * size), channels: 1, shape, affine }, { gzip: false }),
    ),
  )
  const zip = zipSync({ 'a_0001.nii': second!, 'a_0000.nii': first! })
  const { result } = await ask('pairs', zip)
  const here = await pairs.predict([{ name: 'a', bytes: scan }])
  assert.deepEqual(result.predictions[0]!.scores, here.predictions[0]!.scores)
  assert.equal(result.predictions[0]!.case_id, 'a')
})

test('a zipped DICOM series is one case, in whatever order its instances come', async () => {
  const { files } = obliqueSeries({ Modality: 'MR' })
  const named = Object.fromEntries(files.map((bytes, k) => [`series/I${9 - k}`, bytes]))
  const { status, result } = await ask('single', zipSync(named))
  assert.equal(status, 200)
  const here = await single.predict([{ name: 'series', bytes: files }])
  assert.deepEqual(result.predictions[0]!.scores, here.predictions[0]!.scores)
})

test('a volume larger than what is given to one is refused by its header, and the next is scored', async () => {
  const form = new FormData()
  form.append('file', new Blob([new Uint8Array(scan)]), 'a.nii.gz')
  const { status, result } = await ask('pairs', form, { maxCaseBytes: 1000 })
  assert.equal(status, 422)
  assert.match(result.failed[0]!.reason, /to score; .* are given to one/)
})

test('GET /v1/models says what becomes of a volume', async () => {
  const app = await buildApp({ models: new Map([['pairs', pairs]]), version: '0' })
  const { models } = ServedModels.parse((await app.inject('/v1/models')).json())
  await app.close()
  assert.deepEqual(models[0]!.input, {
    size: [6, 9, 8],
    channels: 2,
    orientation: 'RAS',
    spacing_mm: [2, 1.5, 1],
    formats: ['.nii', '.nii.gz', '.zip of these or of a DICOM series'],
  })
})
