import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Network } from '../package/infer.ts'
import { type LoadedPackage, loadPackage } from '../package/load.ts'
import { makePhantoms } from '../package/phantoms.ts'
import { TINY_SPEC, writeTinyPackage } from '../package/testing/tiny_package.ts'
import { PredictResult } from '../schema/results.ts'
import { ServedModels, ServeError } from '../schema/serving.ts'
import { type AppOptions, buildApp, type LogRecord } from './app.ts'

let scratch = ''
let loaded: LoadedPackage
let other: LoadedPackage
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'fiducial-serve-'))
  await writeTinyPackage(join(scratch, 'a'))
  await writeTinyPackage(join(scratch, 'b'), { labels: ['mass'], model: { synthetic: true } })
  loaded = await loadPackage(join(scratch, 'a'), { threads: 1 })
  other = await loadPackage(join(scratch, 'b'), { threads: 1 })
})
after(async () => {
  await Promise.all([loaded.close(), other.close()])
  await rm(scratch, { recursive: true, force: true })
})
const phantoms = await makePhantoms(TINY_SPEC)
const png = phantoms[0]!.bytes
const jpeg = phantoms[2]!.bytes

async function withApp(
  options: Partial<AppOptions>,
  use: (app: Awaited<ReturnType<typeof buildApp>>, records: LogRecord[]) => Promise<void>,
) {
  const records: LogRecord[] = []
  const models = new Map([
    ['tiny', loaded],
    ['other', other],
  ])
  const app = await buildApp({ models, version: '0', log: (record) => records.push(record), ...options })
  try {
    await use(app, records)
  } finally {
    await app.close()
  }
}
async function form(files: readonly (readonly [string, Uint8Array])[]) {
  const data = new FormData()
  for (const [name, bytes] of files) data.append('file', new Blob([new Uint8Array(bytes)]), name)
  const request = new Response(data)
  return {
    headers: { 'content-type': request.headers.get('content-type')! },
    payload: Buffer.from(await request.arrayBuffer()),
  }
}
const post = (url: string, body: { headers: Record<string, string>; payload: Buffer }) =>
  ({ method: 'POST', url, ...body }) as const
const raw = (bytes: Uint8Array, type = 'image/png') => ({
  headers: { 'content-type': type },
  payload: Buffer.from(bytes),
})

test('several files in a form come back in their order, the unreadable ones under failed', async () => {
  await withApp({}, async (app) => {
    const body = await form([
      ['one.png', png],
      ['two.txt', Buffer.from('text')],
      ['three.jpg', jpeg],
    ])
    const response = await app.inject(post('/v1/predict', body))
    assert.equal(response.statusCode, 200)
    const result = PredictResult.parse(response.json())
    assert.deepEqual(
      result.predictions.map((p) => p.file),
      ['one.png', 'three.jpg'],
    )
    assert.deepEqual(
      result.failed.map((f) => f.file),
      ['two.txt'],
    )
    assert.equal(result.package_digest, loaded.digest)
    const local = await loaded.predict([{ name: 'one.png', bytes: png }])
    assert.deepEqual(result.predictions[0]!.scores, local.predictions[0]!.scores)
  })
})

test('the bytes of one image are a request, as image/* and as application/octet-stream', async () => {
  await withApp({}, async (app) => {
    for (const type of ['image/png', 'image/jpeg; charset=binary', 'application/octet-stream']) {
      const response = await app.inject(post('/v1/predict', raw(jpeg, type)))
      assert.equal(response.statusCode, 200, type)
      assert.equal(PredictResult.parse(response.json()).predictions.length, 1)
    }
  })
})

test('each model answers under its name, the first one where a request names none', async () => {
  await withApp({}, async (app) => {
    const { models } = ServedModels.parse((await app.inject('/v1/models')).json())
    assert.deepEqual(
      models.map((m) => [m.name, m.default, m.synthetic]),
      [
        ['tiny', true, false],
        ['other', false, true],
      ],
    )
    assert.equal((await app.inject('/v1/models/other')).json().package_digest, other.digest)
    for (const url of ['/v1/models/other/predict', '/v1/predict?model=other']) {
      const response = await app.inject(post(url, raw(png)))
      const [prediction] = PredictResult.parse(response.json()).predictions
      assert.deepEqual(Object.keys(prediction!.scores), ['mass'], url)
      assert.match(prediction!.warnings.join(), /synthetic phantom images/)
    }
    const unnamed = await app.inject(post('/v1/predict', raw(png)))
    assert.equal(PredictResult.parse(unnamed.json()).package_digest, loaded.digest)
    const unknown = await app.inject(post('/v1/predict?model=none', raw(png)))
    assert.match(ServeError.parse(unknown.json()).error, /Served here: tiny, other\.$/)
  })
})

test('what cannot be answered is a clear 4xx in JSON', async () => {
  await withApp({ maxBodyBytes: 20_000, maxFiles: 3 }, async (app) => {
    const many = await form(Array.from({ length: 4 }, (_, i) => [`${i}.png`, png] as const))
    const large = await form([
      ['a', new Uint8Array(15_000)],
      ['b', new Uint8Array(15_000)],
    ])
    const cut = await form([['one.png', png]])
    cut.payload = cut.payload.subarray(0, cut.payload.length - 30)
    const cases: [string, object, number, string][] = [
      ['empty body', post('/v1/predict', raw(new Uint8Array(0))), 400, 'empty_body'],
      ['no body', { method: 'POST', url: '/v1/predict' }, 400, 'empty_body'],
      ['empty form', post('/v1/predict', await form([])), 400, 'no_files'],
      ['cut form', post('/v1/predict', cut), 400, 'bad_multipart'],
      ['form without boundary', post('/v1/predict', raw(png, 'multipart/form-data')), 400, 'bad_multipart'],
      ['huge', post('/v1/predict', raw(new Uint8Array(20_001))), 413, 'too_large'],
      ['huge form', post('/v1/predict', large), 413, 'too_large'],
      ['many files', post('/v1/predict', many), 413, 'too_many_files'],
      [
        'JSON',
        post('/v1/predict', raw(Buffer.from('{"__proto__":1}'), 'application/json')),
        415,
        'unsupported_media_type',
      ],
      ['text', post('/v1/predict', raw(png, 'text/plain')), 415, 'unsupported_media_type'],
      ['type tricks', post('/v1/predict', raw(png, 'image')), 415, 'unsupported_media_type'],
      [
        'compressed',
        {
          ...post('/v1/predict', raw(png)),
          headers: { 'content-type': 'image/png', 'content-encoding': 'gzip' },
        },
        415,
        'unsupported_encoding',
      ],
      ['unknown model', post('/v1/models/none/predict', raw(png)), 404, 'unknown_model'],
      ['unknown model asked for', post('/v1/predict?model=none', raw(png)), 404, 'unknown_model'],
      ['no model asked for', post('/v1/predict?model=', raw(png)), 404, 'unknown_model'],
      ['two models', post('/v1/predict?model=tiny&model=other', raw(png)), 400, 'several_models'],
      ['prototype asked for', post('/v1/predict?model=__proto__', raw(png)), 404, 'unknown_model'],
      ['prototype', post('/v1/models/__proto__/predict', raw(png)), 404, 'unknown_model'],
      ['path out', post('/v1/models/..%2f..%2fetc%2fpasswd/predict', raw(png)), 404, 'unknown_model'],
      ['path out of the page', { method: 'GET', url: '/../package.json' }, 404, 'not_found'],
      ['encoded path', { method: 'GET', url: '/%2e%2e/%2e%2e/etc/passwd' }, 404, 'not_found'],
      ['broken escape', { method: 'GET', url: '/v1/models/%zz' }, 400, 'bad_request'],
      ['wrong method', { method: 'GET', url: '/v1/predict' }, 405, 'wrong_method'],
      ['wrong method on a model', { method: 'GET', url: '/v1/models/tiny/predict' }, 405, 'wrong_method'],
      ['post to a page', post('/v1/models', raw(png)), 405, 'wrong_method'],
      ['unknown path', { method: 'GET', url: '/admin' }, 404, 'not_found'],
    ]
    for (const [name, request, status, code] of cases) {
      const response = await app.inject(request)
      assert.equal(response.statusCode, status, `${name}: ${response.body}`)
      const body = ServeError.parse(response.json())
      assert.equal(body.code, code, name)
      assert.equal(body.request_id, response.headers['x-request-id'])
    }
  })
})

test('when no file can be scored the answer is 422, with each reason', async () => {
  await withApp({}, async (app) => {
    const response = await app.inject(post('/v1/predict', raw(Buffer.from('<svg/>'), 'image/svg+xml')))
    assert.equal(response.statusCode, 422)
    assert.match(PredictResult.parse(response.json()).failed[0]!.reason, /not an image|no image/i)
  })
})

test('names that callers send come back without paths and control characters', async () => {
  await withApp({}, async (app) => {
    const names = ['../../etc/passwd', 'C:\\scans\\doe^jane.png', 'a\u202egnp.exe', '..', '<img src=x>.png']
    const response = await app.inject(post('/v1/predict', await form(names.map((n) => [n, png]))))
    assert.deepEqual(
      PredictResult.parse(response.json()).predictions.map((p) => p.file),
      ['passwd', 'doe^jane.png', 'agnp.exe', 'image-4', '<img src=x>.png'],
    )
  })
})

test('logs name ids, hashes and times, never a file name, a query or a header', async () => {
  await withApp({}, async (app, records) => {
    const body = await form([
      ['doe^jane.png', png],
      ['smith.txt', Buffer.from('smith')],
    ])
    const headers = { ...body.headers, 'x-request-id': 'doe', 'user-agent': 'doe' }
    await app.inject({ ...post('/v1/predict?patient=doe', body), headers })
    await app.inject('/doe/jane')
    await app.inject(post('/v1/models/doe/predict', raw(png)))
    const text = JSON.stringify(records)
    assert.doesNotMatch(text, /doe|jane|smith/)
    const [first, second, third] = records
    assert.equal(first!.route, '/v1/predict')
    assert.equal(first!.status, 200)
    assert.equal(first!.package_digest, loaded.digest)
    assert.equal(first!.inputs!.length, 1)
    assert.match(first!.inputs![0]!, /^[0-9a-f]{64}$/)
    assert.equal(first!.failed, 1)
    assert.equal(second!.route, '(unknown path)')
    assert.equal(third!.code, 'unknown_model')
  })
})

test('a failure of ours is a plain 500; the log says where in the code, not what the request held', async () => {
  const network: Network = {
    run: () => Promise.reject(new Error('secret of the request')),
  }
  await withApp({ models: new Map([['tiny', { ...loaded, network }]]) }, async (app, records) => {
    const response = await app.inject(post('/v1/predict', raw(png)))
    assert.equal(response.statusCode, 500)
    assert.equal(ServeError.parse(response.json()).code, 'internal')
    assert.doesNotMatch(response.body + JSON.stringify(records), /secret/)
    assert.match(records[0]!.error!, /^Error \| at /)
    assert.equal(records[0]!.level, 'error')
  })
})

test('files of concurrent requests run together, and each scores as it does alone', async () => {
  const sizes: number[] = []
  const network: Network = {
    run(x, dims) {
      sizes.push(dims[0])
      return loaded.network.run(x, dims)
    },
  }
  const models = new Map([['tiny', { ...loaded, network }]])
  await withApp({ models, maxBatch: 4, batchWaitMs: 20 }, async (app) => {
    const files = phantoms.filter((p) => !p.file.includes('16bit'))
    const alone = await loaded.predict(files.map((p) => ({ name: p.file, bytes: p.bytes })))
    const rounds = [...files, ...files, ...files]
    const responses = await Promise.all(rounds.map((p) => app.inject(post('/v1/predict', raw(p.bytes)))))
    for (const [i, response] of responses.entries()) {
      const [prediction] = PredictResult.parse(response.json()).predictions
      const expected = alone.predictions[i % files.length]!
      for (const label of ['nodule', 'effusion'])
        assert.ok(Math.abs(prediction!.scores[label]! - expected.scores[label]!) < 1e-6)
      assert.deepEqual(prediction!.decisions, expected.decisions)
    }
    assert.ok(Math.max(...sizes) > 1 && Math.max(...sizes) <= 4, sizes.join())
  })
})

test('one failing file of a batch leaves the others alone', async () => {
  await withApp({ batchWaitMs: 20 }, async (app) => {
    const responses = await Promise.all(
      [png, Buffer.from('GIF89a'), jpeg].map((bytes) => app.inject(post('/v1/predict', raw(bytes)))),
    )
    assert.deepEqual(
      responses.map((r) => r.statusCode),
      [200, 422, 200],
    )
  })
})

test('past its limit the server answers 503 with Retry-After at once, and recovers', async () => {
  let release: () => void = () => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const network: Network = {
    async run(x, dims) {
      await held
      return loaded.network.run(x, dims)
    },
  }
  const models = new Map([['tiny', { ...loaded, network }]])
  await withApp({ models, maxRequests: 2 }, async (app) => {
    await app.listen({ port: 0 })
    const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
    const send = () =>
      fetch(`${url}/v1/predict`, {
        method: 'POST',
        headers: { 'content-type': 'image/png' },
        body: new Uint8Array(png),
      })
    const accepted = [send(), send()]
    await new Promise((resolve) => setTimeout(resolve, 100))
    const refused = await send()
    assert.equal(refused.status, 503)
    assert.equal(refused.headers.get('retry-after'), '1')
    assert.equal(ServeError.parse(await refused.json()).code, 'busy')
    assert.equal((await fetch(`${url}/healthz`)).status, 200)
    release()
    for (const response of await Promise.all(accepted)) assert.equal(response.status, 200)
    assert.equal((await send()).status, 200)
  })
})

test('a caller that hangs up in the middle of an upload gives its place back', async () => {
  await withApp({ maxRequests: 1 }, async (app) => {
    await app.listen({ port: 0 })
    const { port } = app.server.address() as AddressInfo
    const socket = connect(port, '127.0.0.1')
    const head =
      'POST /v1/predict HTTP/1.1\r\nhost: x\r\ncontent-type: image/png\r\ncontent-length: 5000\r\n\r\nabc'
    await new Promise<void>((resolve) => socket.write(head, () => resolve()))
    await new Promise((resolve) => setTimeout(resolve, 50))
    socket.destroy()
    await new Promise((resolve) => setTimeout(resolve, 50))
    const response = await fetch(`http://127.0.0.1:${port}/v1/predict`, {
      method: 'POST',
      headers: { 'content-type': 'image/png' },
      body: new Uint8Array(png),
    })
    assert.equal(response.status, 200)
  })
})

for (const [what, limits, contentType] of [
  ['stalls', { idleMs: 100 }, 'image/png'],
  ['of a form stalls', { idleMs: 100 }, 'multipart/form-data; boundary=b'],
  ['is not whole in time', { arrivalMs: 100 }, 'image/png'],
] as const)
  test(`an upload that ${what} is answered 408, and its place is given back`, () =>
    withApp({ maxRequests: 1, ...limits }, async (app) => {
      await app.listen({ port: 0, host: '127.0.0.1' })
      const { port } = app.server.address() as AddressInfo
      const head = `POST /v1/predict HTTP/1.1\r\nhost: x\r\ncontent-type: ${contentType}\r\ncontent-length: 1000000\r\n\r\nabc`
      const told = await new Promise<string>((resolve) => {
        let got = ''
        const socket = connect(port, '127.0.0.1', () => socket.write(head))
        socket.on('data', (bytes) => {
          got += String(bytes)
        })
        socket.on('close', () => resolve(got))
      })
      const [line, body] = told.split('\r\n\r\n') as [string, string]
      assert.match(line, /^HTTP\/1.1 408 /)
      assert.equal(ServeError.parse(JSON.parse(body)).code, 'timeout')
      await new Promise((resolve) => setTimeout(resolve, 50))
      assert.equal((await app.inject(post('/v1/predict', raw(png)))).statusCode, 200)
    }))

test('health is separate from readiness: a stopping server is alive but not ready', async () => {
  let stopping = false
  await withApp({ isStopping: () => stopping }, async (app) => {
    assert.equal((await app.inject('/readyz')).statusCode, 200)
    stopping = true
    assert.equal((await app.inject('/readyz')).statusCode, 503)
    assert.equal((await app.inject('/healthz')).statusCode, 200)
  })
})

test('the OpenAPI document describes every route, with schemas that resolve', async () => {
  await withApp({}, async (app) => {
    const document = (await app.inject('/openapi.json')).json()
    assert.equal(document.openapi, '3.1.0')
    for (const path of [
      '/v1/predict',
      '/v1/models',
      '/v1/models/{name}',
      '/v1/models/{name}/predict',
      '/readyz',
    ])
      assert.ok(document.paths[path], path)
    const { 200: done, 406: unsendable } = document.paths['/v1/predict'].post.responses
    assert.deepEqual(Object.keys(done.content).sort(), [
      'application/dicom',
      'application/gzip',
      'application/json',
      'image/png',
    ])
    assert.match(unsendable.description, /NIfTI of a 2D image, or PNG of a volume/)
    const references = JSON.stringify(document).match(/#\/components\/schemas\/\w+/g)!
    for (const reference of references)
      assert.ok(document.components.schemas[reference.split('/').at(-1)!], reference)
    const { required } = document.components.schemas.PredictResult
    assert.deepEqual(required, ['predictions', 'failed', 'package_digest'])
  })
})

test('the page loads nothing from elsewhere, and its policy forbids that', async () => {
  await withApp({}, async (app) => {
    for (const path of ['/', '/page.css', '/page.js']) {
      const response = await app.inject(path)
      assert.equal(response.statusCode, 200)
      assert.match(
        response.headers['content-security-policy'] as string,
        /default-src 'none'.*frame-ancestors 'none'/,
      )
      assert.doesNotMatch(response.body, /https?:\/\/(?!www\.w3\.org\/2000\/svg)/)
    }
    const page = (await app.inject('/')).body
    assert.match(page, /Research use, not a diagnosis/)
    assert.doesNotMatch(page, /<script(?![^>]*src=)|style="|\son\w+="/)
  })
})

test('what is no HTTP request, or has endless headers, is refused in the same words as all else', () =>
  withApp({}, async (app) => {
    await app.listen({ port: 0, host: '127.0.0.1' })
    const { port } = app.server.address() as AddressInfo
    const answer = (text: string) =>
      new Promise<string>((resolve, reject) => {
        let got = ''
        const socket = connect(port, '127.0.0.1', () => socket.write(text))
        socket.on('data', (bytes) => {
          got += String(bytes)
        })
        socket.on('error', reject)
        socket.on('close', () => resolve(got))
      })
    for (const [text, status, code] of [
      ['not http\r\n\r\n', 400, 'malformed'],
      [`GET / HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`, 431, 'headers_too_large'],
    ] as const) {
      const [head, body] = (await answer(text)).split('\r\n\r\n') as [string, string]
      assert.match(head, new RegExp(`^HTTP/1.1 ${status} `))
      assert.equal(ServeError.parse(JSON.parse(body)).code, code)
    }
  }))
