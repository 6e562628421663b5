import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { makePhantoms } from '../package/phantoms.ts'
import { TINY_SPEC, writeTinyPackage } from '../package/testing/tiny_package.ts'
import { PROJECT_ROOT } from '../python/environment.ts'
import { PredictResult } from '../schema/results.ts'

const png = (await makePhantoms(TINY_SPEC))[0]!.bytes
let scratch = ''
let whole = ''
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'fiducial-serve-verb-'))
  whole = join(scratch, 'whole')
  await writeTinyPackage(whole)
})
after(() => rm(scratch, { recursive: true, force: true }))

interface Served {
  child: ChildProcess
  /** First line of stdout, once it is there; null when the process ended before. */
  ready: Promise<string | null>
  ended: Promise<{ code: number | null; stdout: string; stderr: string }>
}
function serve(...args: string[]): Served {
  const main = join(PROJECT_ROOT, 'src/cli/main.ts')
  const child = spawn(process.execPath, [main, 'serve', ...args, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  const ready = new Promise<string | null>((resolve) => {
    child.stdout.on('data', (chunk) => {
      stdout += chunk
      if (stdout.includes('\n')) resolve(stdout.split('\n')[0]!)
    })
    child.on('close', () => resolve(null))
  })
  const ended = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) =>
    child.on('close', (code) => resolve({ code, stdout, stderr })),
  )
  return { child, ready, ended }
}
const send = (url: string, bytes = png) =>
  fetch(`${url}/v1/predict`, {
    method: 'POST',
    headers: { 'content-type': 'image/png' },
    body: new Uint8Array(bytes),
  })

test('one JSON line says where it listens; SIGTERM ends it with exit code 0', async () => {
  const { child, ready, ended } = serve(whole, '--port', '0')
  const { url, models } = JSON.parse((await ready)!)
  assert.deepEqual(models, ['tiny'])
  assert.match(url, /^http:\/\/127\.0\.0\.1:\d+$/)
  const response = await send(url)
  assert.equal(PredictResult.parse(await response.json()).predictions.length, 1)
  child.kill('SIGTERM')
  const { code, stdout, stderr } = await ended
  assert.equal(code, 0)
  assert.equal(stdout.trim().split('\n').length, 1)
  const record = JSON.parse(stderr.split('\n').find((line) => line.startsWith('{'))!)
  assert.equal(record.route, '/v1/predict')
})

test('requests in flight at SIGTERM are answered, new ones are not', async () => {
  const { child, ready, ended } = serve(whole, '--port', '0')
  const { url } = JSON.parse((await ready)!)
  const { hostname, port } = new URL(url)
  const { connect } = await import('node:net')
  const socket = connect(Number(port), hostname)
  const body = Buffer.from(png)
  const head = `POST /v1/predict HTTP/1.1\r\nhost: x\r\ncontent-type: image/png\r\ncontent-length: ${body.length}\r\n\r\n`
  await new Promise<void>((resolve) =>
    socket.write(Buffer.concat([Buffer.from(head), body.subarray(0, 10)]), () => resolve()),
  )
  await fetch(`${url}/healthz`) // the server has read what came before
  child.kill('SIGTERM')
  await new Promise((resolve) => setTimeout(resolve, 200))
  await assert.rejects(send(url), 'a new connection is refused')
  socket.write(body.subarray(10))
  const answer = await new Promise<string>((resolve) => {
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.on('close', () => resolve(text))
  })
  assert.match(answer, /^HTTP\/1\.1 200/)
  assert.match(answer, /"predictions":\[\{/)
  assert.equal((await ended).code, 0)
})

test('a port in use is one clear message and exit code 2', async () => {
  const other = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => other.once('listening', resolve))
  const { port } = other.address() as AddressInfo
  const { ended } = serve(whole, '--port', String(port))
  const { code, stderr } = await ended
  other.close()
  assert.equal(code, 2)
  assert.match(stderr, new RegExp(`Port ${port} on 127.0.0.1 is in use`))
  assert.doesNotMatch(stderr, /\n\s+at /)
})

test('a package that is damaged or not certified is refused by name, and served on demand with a warning', async () => {
  const edited = join(scratch, 'edited')
  await cp(whole, edited, { recursive: true })
  const path = join(edited, 'model.json')
  await writeFile(path, (await readFile(path, 'utf8')).replace('"antialias": true', '"antialias": false'))
  const refused = await serve(edited, '--port', '0').ended
  assert.equal(refused.code, 2)
  assert.match(refused.stderr, /is not certified: model\.json was changed/)

  const allowed = serve(edited, '--port', '0', '--allow-failed')
  const { url } = JSON.parse((await allowed.ready)!)
  const { predictions } = PredictResult.parse(await (await send(url)).json())
  assert.match(predictions[0]!.warnings.join(), /not certified/)
  allowed.child.kill('SIGTERM')
  assert.match((await allowed.ended).stderr, /warning: tiny is not certified/)

  const damaged = join(scratch, 'damaged')
  await cp(whole, damaged, { recursive: true })
  await writeFile(join(damaged, 'model.onnx'), 'x')
  const { code, stderr } = await serve(damaged, '--port', '0', '--allow-failed').ended
  assert.equal(code, 2)
  assert.match(stderr, /model\.onnx is corrupt/)
})

test('two versions of one model are served under their versions; the same twice is refused', async () => {
  const second = join(scratch, 'second')
  await writeTinyPackage(second, { model: { version: '2' } })
  const both = serve(whole, second, '--port', '0')
  assert.deepEqual(JSON.parse((await both.ready)!).models, ['tiny@1', 'tiny@2'])
  both.child.kill('SIGTERM')
  await both.ended
  const { code, stderr } = await serve(whole, whole, '--port', '0').ended
  assert.equal(code, 2)
  assert.match(stderr, /Two packages are both tiny@1/)
})
