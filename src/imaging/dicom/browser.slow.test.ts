import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { build, type Metafile } from 'esbuild'
import { chromium } from 'playwright-core'
import { ImageError } from '../image_error.ts'
import { decodePixels } from './decode_pixels.ts'
import { parseDicom } from './parse.ts'
import type { Decoded } from './testing/decode_page.ts'
import pydicom from './testing/pydicom_pixels.json' with { type: 'json' }

const FILES = join(import.meta.dirname, '../../../../shared/data/dicom/files')
const browserPath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  existsSync,
)
const skip = !existsSync(FILES)
  ? 'the DICOM files of ../shared/data are not here'
  : browserPath === undefined
    ? 'no Chromium on this machine'
    : false
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

describe('DICOM in a browser', { skip }, () => {
  let scratch = ''
  let bundled: Metafile
  let server: Server
  let context: Awaited<ReturnType<typeof chromium.launchPersistentContext>>
  const pixels = new Map<string, Uint8Array>()
  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'fiducial-dicom-browser-'))
    const { outputFiles, metafile } = await build({
      entryPoints: [join(import.meta.dirname, 'testing/decode_page.ts')],
      bundle: true,
      write: false,
      metafile: true,
      platform: 'browser',
      // OpenJPEG's build asks for these where it finds itself in Node.
      external: ['fs', 'path'],
    })
    bundled = metafile
    server = await serve(outputFiles[0]!.contents, pixels)
    context = await chromium.launchPersistentContext(join(scratch, 'profile'), {
      executablePath: browserPath!,
      headless: true,
      args: ARGUMENTS,
    })
  })
  after(async () => {
    await context?.close()
    server?.close()
    await rm(scratch, { recursive: true, force: true })
  })

  test('the bundle holds the build of OpenJPEG that needs no second file, and no raster decoder of Node', () => {
    const inputs = Object.keys(bundled.inputs)
    assert.ok(
      inputs.some((path) => path.endsWith('/openjpegjs_decode.js')),
      inputs.join('\n'),
    )
    assert.ok(!inputs.some((path) => /openjpegwasm|sharp|_node\.ts$/.test(path)), inputs.join('\n'))
  })

  test('every file decodes to the same pixels as in Node, or is refused for the same reason', async () => {
    const page = await context.newPage()
    const errors: string[] = []
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()))
    page.on('pageerror', (error) => errors.push(error.message))
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    const names = readdirSync(FILES).sort()
    const decoded: string[] = []
    for (const name of names) {
      const found = await page.evaluate(
        (one) => (globalThis as unknown as { decodeFile(name: string): Promise<Decoded> }).decodeFile(one),
        name,
      )
      const expected = await inNode(name)
      assert.deepEqual(found, expected.decoded, name)
      if (expected.bytes === null) continue
      assert.ok(expected.bytes.equals(pixels.get(name)!), `${name}: other pixels`)
      decoded.push(name)
    }
    const missing = Object.keys(pydicom).filter((name) => !decoded.includes(name))
    assert.deepEqual(missing, [], 'pydicom decodes these')
    assert.deepEqual(errors, [])
  })
})

async function inNode(name: string): Promise<{ decoded: Decoded; bytes: Buffer | null }> {
  try {
    const { data, format } = await decodePixels(parseDicom(new Uint8Array(readFileSync(join(FILES, name)))))
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    return { decoded: { array: data.constructor.name, format }, bytes }
  } catch (cause) {
    if (!(cause instanceof ImageError)) throw cause
    return { decoded: { reason: cause.reason }, bytes: null }
  }
}

/** A page that loads the script, the files, and a place where it hands in pixels. */
async function serve(script: Uint8Array, pixels: Map<string, Uint8Array>): Promise<Server> {
  const server = createServer(async (request, response) => {
    const url = request.url ?? '/'
    const name = basename(url)
    // The policy of a careful page: no code made from text.
    if (url === '/')
      response
        .writeHead(200, { 'content-type': 'text/html', 'content-security-policy': "default-src 'self'" })
        .end('<script src="/page.js"></script>')
    else if (url === '/page.js') response.setHeader('content-type', 'text/javascript').end(script)
    else if (url === '/favicon.ico') response.writeHead(204).end()
    else if (url.startsWith('/files/')) response.end(readFileSync(join(FILES, name)))
    else if (url.startsWith('/pixels/')) {
      pixels.set(name, Buffer.concat(await request.toArray()))
      response.writeHead(204).end()
    } else response.writeHead(404).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}
