import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { chromium } from 'playwright-core'
import { encodeRaster } from '#raster'
import { writeNifti } from '../imaging/nifti/write.ts'
import { goldenVolumes } from '../package/golden_volume.ts'
import { type LoadedPackage, loadPackage } from '../package/load.ts'
import { type LoadedSegmenter, loadSegmenter } from '../package/load_segmenter.ts'
import { makePhantoms } from '../package/phantoms.ts'
import {
  TINY_VOLUME_SPEC as SCORED_SPEC,
  TINY_SPEC,
  writeTinyPackage,
} from '../package/testing/tiny_package.ts'
import { TINY_IMAGE, TINY_VOLUME_SPEC, writeTinySegmenter } from '../package/testing/tiny_segmenter.ts'
import { drawnImage } from '../sources/raster_fixture.ts'
import { buildApp, type Served } from './app.ts'

const browserPath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  existsSync,
)
const skip = browserPath === undefined ? 'no Chromium on this machine' : false
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

describe('the page in a browser', { skip }, () => {
  let scratch = ''
  let loaded: LoadedPackage
  let other: LoadedPackage
  let volumes: LoadedSegmenter
  let scored: LoadedPackage
  let slices: LoadedSegmenter
  let app: Awaited<ReturnType<typeof buildApp>>
  let context: Awaited<ReturnType<typeof chromium.launchPersistentContext>>
  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'fiducial-page-'))
    await writeTinyPackage(join(scratch, 'pkg'), { model: { synthetic: true } })
    await writeTinyPackage(join(scratch, 'other'), { labels: ['mass'] })
    loaded = await loadPackage(join(scratch, 'pkg'))
    other = await loadPackage(join(scratch, 'other'))
    await writeTinySegmenter(join(scratch, 'volumes'))
    volumes = await loadSegmenter(join(scratch, 'volumes'))
    await writeTinyPackage(join(scratch, 'scored'), { volumes: SCORED_SPEC, labels: ['bleed'] })
    scored = await loadPackage(join(scratch, 'scored'))
    await writeTinySegmenter(join(scratch, 'slices'), TINY_IMAGE)
    slices = await loadSegmenter(join(scratch, 'slices'))
    const models = new Map<string, Served>([
      ['tiny', loaded],
      ['other', other],
      ['volumes', volumes],
      ['scored', scored],
      ['slices', slices],
    ])
    app = await buildApp({ models, version: '0' })
    await app.listen({ port: 0 })
    context = await chromium.launchPersistentContext(join(scratch, 'profile'), {
      executablePath: browserPath!,
      headless: true,
      args: ARGUMENTS,
    })
  })
  after(async () => {
    await context.close()
    await app.close()
    await Promise.all([loaded, other, volumes, scored, slices].map((one) => one.close()))
    await rm(scratch, { recursive: true, force: true })
  })

  test('scores a chosen file, shows the decision, the notice and the synthetic banner, and asks no other host', async () => {
    const origin = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
    const page = await context.newPage()
    const errors: string[] = []
    const hosts = new Set<string>()
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()))
    page.on('pageerror', (error) => errors.push(error.message))
    page.on('request', (request) => hosts.add(new URL(request.url().replace(/^blob:/, '')).origin))
    await page.goto(origin)
    const [phantom] = await makePhantoms(TINY_SPEC)
    const name = '<img src=x onerror=alert(1)>.png'
    const file = { name, mimeType: 'image/png', buffer: Buffer.from(phantom!.bytes) }
    await page.setInputFiles('#files', file)
    await page.waitForSelector('article')
    const { predictions } = await loaded.predict([{ name: 'x', bytes: phantom!.bytes }])
    const text = (await page.textContent('article'))!
    assert.ok(text.includes(name), 'a name is text, never markup')
    assert.ok(text.includes(predictions[0]!.scores.nodule!.toFixed(3)))
    assert.match(text, predictions[0]!.decisions.nodule ? /present/ : /absent/)
    assert.equal(
      await page.locator('.preview img').evaluate((image) => image.getAttribute('alt')),
      `Preview of ${name}`,
    )
    assert.ok(await page.isVisible('#synthetic'))
    assert.ok(await page.isVisible('text=Research use, not a diagnosis.'))
    assert.equal(await page.textContent('#status'), '1 image scored.')
    assert.deepEqual(errors, [])
    assert.deepEqual([...hosts], [origin])
  })

  test('of several models the one chosen scores', async () => {
    const page = await context.newPage()
    await page.goto(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}`)
    await page.selectOption('#model', 'other')
    assert.equal(await page.isVisible('#synthetic'), false)
    const [phantom] = await makePhantoms(TINY_SPEC)
    const file = { name: 'a.png', mimeType: 'image/png', buffer: Buffer.from(phantom!.bytes) }
    await page.setInputFiles('#files', file)
    await page.waitForSelector('article table')
    assert.match((await page.textContent('article'))!, /mass/)
  })

  test('a volume shows its structures in ml, its slices, and a mask to download', async () => {
    const page = await context.newPage()
    const errors: string[] = []
    page.on('pageerror', (error) => errors.push(error.message))
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()))
    await page.goto(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}`)
    await page.selectOption('#model', 'volumes')
    assert.equal(await page.textContent('#files-heading'), 'Volumes')
    const { bytes } = (await goldenVolumes(TINY_VOLUME_SPEC, [16, 20, 12]))[0]!
    const file = { name: 'scan <1>.nii.gz', mimeType: 'application/gzip', buffer: Buffer.from(bytes) }
    await page.setInputFiles('#files', file)
    await page.waitForSelector('article table')
    const { volumes_ml, mask } = await volumes.segment([bytes])
    const text = (await page.textContent('article'))!
    assert.ok(text.includes('scan <1>.nii.gz') && text.includes(volumes_ml.body!.toFixed(3)), text)
    const view = page.locator('.views img')
    assert.equal(await view.evaluate((image: { naturalWidth: number }) => image.naturalWidth), 912)
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('a.button')])
    const saved = await readFile(await download.path())
    assert.ok(saved.equals(await writeNifti(mask, { gzip: true })))
    assert.equal(await page.textContent('#status'), '1 volume segmented.')
    assert.deepEqual(errors, [])
  })

  test('a volume that is scored shows its score and decision, and what becomes of it', async () => {
    const page = await context.newPage()
    const errors: string[] = []
    page.on('pageerror', (error) => errors.push(error.message))
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()))
    await page.goto(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}`)
    await page.selectOption('#model', 'scored')
    assert.equal(await page.textContent('#files-heading'), 'Volumes')
    assert.match((await page.textContent('#facts'))!, /2 channels at 2 × 1.5 × 1 mm, .* to 6 × 9 × 8 voxels/)
    const { bytes } = (await goldenVolumes(SCORED_SPEC, SCORED_SPEC.size))[0]!
    const file = { name: 'scan.nii.gz', mimeType: 'application/gzip', buffer: Buffer.from(bytes) }
    await page.setInputFiles('#files', file)
    await page.waitForSelector('article table')
    const { predictions } = await scored.predict([{ name: 'scan.nii.gz', bytes }])
    const text = (await page.textContent('article'))!
    assert.ok(text.includes(predictions[0]!.scores.bleed!.toFixed(3)), text)
    assert.match(text, predictions[0]!.decisions.bleed ? /present/ : /absent/)
    assert.equal(await page.textContent('#status'), '1 volume scored.')
    assert.deepEqual(errors, [])
  })

  test('a 2D image shows its structures in pixels, itself with the mask, and a PNG to download', async () => {
    const page = await context.newPage()
    const errors: string[] = []
    page.on('pageerror', (error) => errors.push(error.message))
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()))
    await page.goto(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}`)
    await page.selectOption('#model', 'slices')
    assert.equal(await page.textContent('#files-heading'), 'Images')
    assert.match(
      (await page.textContent('#facts'))!,
      /3 channels pixel for pixel, in windows of 20 × 24 pixels/,
    )
    const files = await Promise.all(
      [0, 1].map(async (n) => {
        const { name, image } = drawnImage(n, 3)
        return {
          name: `${name}.png`,
          mimeType: 'image/png',
          buffer: Buffer.from(await encodeRaster(image, 'png')),
        }
      }),
    )
    await page.setInputFiles('#files', files)
    await page.waitForSelector('article:nth-of-type(2) table')
    assert.equal(await page.textContent('#status'), '2 images segmented.')
    const { voxels, mask } = await slices.segment([files[1]!.buffer])
    const text = (await page.textContent('article'))!
    assert.ok(text.includes('drawn_001.png') && text.includes('Area in pixels'), text)
    assert.ok(text.includes(String(voxels.body)), text)
    const view = page.locator('.views img').first()
    assert.equal(await view.evaluate((image: { naturalWidth: number }) => image.naturalWidth), 300)
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.locator('a.button').first().click(),
    ])
    const saved = await readFile(await download.path())
    const [, height, width] = mask.shape
    assert.ok(saved.equals(await encodeRaster({ data: mask.data, height, width, channels: 1 }, 'png')))
    assert.deepEqual(errors, [])
  })
})
