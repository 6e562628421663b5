import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { zipSync } from 'fflate'
import { obliqueSeries } from '../imaging/dicom/testing/drawn_series.ts'
import { goldenVolumes } from '../package/golden_volume.ts'
import { loadPackage } from '../package/load.ts'
import { loadSegmenter } from '../package/load_segmenter.ts'
import { makePhantoms } from '../package/phantoms.ts'
import { TINY_SPEC, writeTinyPackage } from '../package/testing/tiny_package.ts'
import { TINY_VOLUME_SPEC, writeTinySegmenter } from '../package/testing/tiny_segmenter.ts'
import { buildApp } from './app.ts'

/** Seeded, so that a failure can be had again. */
function generator(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state * 48271) % 2147483647
    return state % below
  }
}

test('2,000 damaged uploads are answered with 200, 4xx or 422, never 5xx, and the server still scores', async () => {
  const scratch = await mkdtemp(join(tmpdir(), 'fiducial-fuzz-'))
  await writeTinyPackage(join(scratch, 'pkg'))
  const loaded = await loadPackage(join(scratch, 'pkg'))
  const app = await buildApp({ models: new Map([['tiny', loaded]]), version: '0' })
  const phantoms = await makePhantoms(TINY_SPEC)
  const random = generator(20261121)
  const statuses: Record<number, number> = {}
  for (let n = 0; n < 2000; n++) {
    const bytes = Buffer.from(phantoms[random(phantoms.length)]!.bytes)
    for (let k = random(12); k > 0; k--) bytes[random(bytes.length)] = random(256)
    const cut = random(4) === 0 ? bytes.subarray(0, random(bytes.length)) : bytes
    const boundary = 'b0und'
    const form = Buffer.concat([
      Buffer.from(`--${boundary}\r\ncontent-disposition: form-data; name="f"; filename="x"\r\n\r\n`),
      cut,
      Buffer.from(`\r\n--${boundary}--\r\n`),
    ])
    if (random(2) === 0) form[random(form.length)] = random(256)
    const isForm = random(2) === 0
    const type = isForm ? `multipart/form-data; boundary=${boundary}` : 'image/png'
    const response = await app.inject({
      method: 'POST',
      url: '/v1/predict',
      headers: { 'content-type': type },
      payload: isForm ? form : cut,
    })
    assert.ok(response.statusCode < 500, `${n}: ${response.body}`)
    statuses[response.statusCode] = (statuses[response.statusCode] ?? 0) + 1
  }
  assert.ok((statuses[200] ?? 0) > 100 && (statuses[422] ?? 0) > 100, JSON.stringify(statuses))
  const { predictions } = await loaded.predict([{ name: 'x', bytes: phantoms[0]!.bytes }])
  assert.equal(predictions.length, 1)
  await app.close()
  await loaded.close()
  await rm(scratch, { recursive: true, force: true })
})

test('400 damaged volumes, series and archives are answered with 200, 4xx or 422, never 5xx, in 10 s at most', async () => {
  const scratch = await mkdtemp(join(tmpdir(), 'fiducial-fuzz-volumes-'))
  await writeTinySegmenter(join(scratch, 'pkg'))
  const loaded = await loadSegmenter(join(scratch, 'pkg'), { threads: 1 })
  const app = await buildApp({ models: new Map([['tiny', loaded]]), version: '0', maxCaseBytes: 1e9 })
  const scan = (await goldenVolumes(TINY_VOLUME_SPEC, [16, 20, 12]))[1]!.bytes
  const slices = obliqueSeries().files
  const random = generator(20261121)
  /** Headers above all: a changed voxel is a volume like any other. */
  const mutated = (whole: Uint8Array, header: number) => {
    const bytes = Buffer.from(whole)
    for (let k = random(4); k >= 0; k--) bytes[random(random(3) === 0 ? bytes.length : header)] = random(256)
    return random(6) === 0 ? bytes.subarray(0, random(bytes.length)) : bytes
  }
  const makers = [
    () => mutated(gunzipSync(scan), 352),
    () => gzipSync(mutated(gunzipSync(scan), 352), { level: 1 }),
    () => mutated(scan, 60),
    () => mutated(zipSync({ 'a.nii.gz': scan }), 60),
    () => zipSync({ 'a.nii': mutated(gunzipSync(scan), 352) }, { level: 1 }),
    () =>
      zipSync(
        Object.fromEntries(
          slices.map((bytes, i) => [`${i}.dcm`, i === 2 ? mutated(bytes, bytes.length) : bytes]),
        ),
      ),
  ]
  const statuses: Record<number, number> = {}
  let slowest = 0
  for (let n = 0; n < 400; n++) {
    const payload = Buffer.from(makers[random(makers.length)]!())
    const start = performance.now()
    const headers = { 'content-type': 'application/octet-stream' }
    const response = await app.inject({ method: 'POST', url: '/v1/predict?views=true', headers, payload })
    slowest = Math.max(slowest, performance.now() - start)
    assert.ok(response.statusCode < 500, `${n}: ${response.body.slice(0, 300)}`)
    statuses[response.statusCode] = (statuses[response.statusCode] ?? 0) + 1
  }
  assert.ok((statuses[200] ?? 0) > 20 && (statuses[422] ?? 0) > 50, JSON.stringify(statuses))
  assert.ok(slowest < 10_000, `${slowest} ms`)
  await app.close()
  await loaded.close()
  await rm(scratch, { recursive: true, force: true })
})
