import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadPackage } from '../package/load.ts'
import { makePhantoms } from '../package/phantoms.ts'
import { TINY_SPEC, writeTinyPackage } from '../package/testing/tiny_package.ts'
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
