import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { chromium } from 'playwright-core'
import { evaluateMasks } from './evaluate_masks.ts'
import { quietIo } from './io.ts'

const HIPPOCAMPUS = join(import.meta.dirname, '../../../shared/data/Task04_Hippocampus')
const browserPath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  existsSync,
)
const skip =
  browserPath === undefined
    ? 'no Chromium on this machine'
    : existsSync(HIPPOCAMPUS)
      ? false
      : 'no ../shared/data/Task04_Hippocampus'
const ARGUMENTS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync']

test('the report shows its charts and outlines in a browser, on a wide and a narrow screen, and asks for nothing', {
  skip,
}, async () => {
  const dir = await mkdtemp(join(tmpdir(), 'fiducial-mask-report-'))
  const labels = join(HIPPOCAMPUS, 'labelsTr')
  const folders = { predictions: labels, labels, images: join(HIPPOCAMPUS, 'imagesTr') }
  try {
    await evaluateMasks(folders, { split: 'all', out: dir }, quietIo())
    const context = await chromium.launchPersistentContext(join(dir, 'profile'), {
      executablePath: browserPath!,
      headless: true,
      args: ARGUMENTS,
    })
    try {
      const page = await context.newPage()
      const errors: string[] = []
      const asked = new Set<string>()
      page.on('console', (message) => errors.push(message.text()))
      page.on('pageerror', (error) => errors.push(error.message))
      page.on('request', (request) => asked.add(new URL(request.url()).protocol))
      for (const width of [1180, 390]) {
        await page.setViewportSize({ width, height: 900 })
        await page.goto(pathToFileURL(join(dir, 'report.html')).href)
        const pictures = await page
          .locator('.gallery img')
          .evaluateAll((images) =>
            images.map((image) => (image as unknown as { naturalWidth: number }).naturalWidth),
          )
        assert.equal(pictures.length, 9)
        assert.ok(pictures.every((pixels) => pixels > 100))
        assert.equal(await page.locator('.chart > svg').count(), 3)
        const overflow = await page.locator('html').evaluate((root) => root.scrollWidth - root.clientWidth)
        assert.equal(overflow, 0, `at ${width} pixels the page is wider than the screen`)
      }
      assert.deepEqual(errors, [])
      assert.deepEqual([...asked], ['file:'], 'pictures are inline')
    } finally {
      await context.close()
    }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
})
