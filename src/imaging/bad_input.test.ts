import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import sharp from 'sharp'
import { UserError } from '../schema/errors.ts'
import { MAX_PIXELS, readHeader } from './header.ts'
import { ImageError } from './image_error.ts'
import { preprocess } from './preprocess.ts'
import type { Raster } from './raster.ts'
import { encodePng } from './raster_node.ts'
import { concat, exifBlock, handmadePng, pngChunk, tiffDirectory } from './testing/files.ts'
import { noise, plainSpec } from './testing/samples.ts'

const text = (s: string) => new TextEncoder().encode(s)
const asSharp = ({ data, height, width, channels }: Raster) =>
  sharp(data, { raw: { height, width, channels } })
const GREY = { height: 2, width: 3, bits: 8, colourType: 0 }
const ROWS = [Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5, 6)]

/** Refused with an ImageError that says what is wrong and what to do. */
async function assertRefused(bytes: Uint8Array, what: RegExp): Promise<void> {
  const error: unknown = await preprocess(bytes, plainSpec()).then(
    () => assert.fail(`accepted, expected ${what}`),
    (e) => e,
  )
  assert.ok(error instanceof ImageError, String(error))
  assert.ok(error instanceof UserError)
  assert.match(error.reason, what)
  assert.ok(error.advice.length > 10)
  assert.equal(error.message, `${error.reason}\n  do: ${error.advice}`)
}

test('a zero-byte file is refused as empty', async () => {
  await assertRefused(new Uint8Array(), /empty \(0 bytes\)/)
})

test('what is not an image is named by its content', async () => {
  await assertRefused(text('patient_id,label\n1,normal\n'), /is text, not an image/)
  await assertRefused(text('<svg xmlns="http://www.w3.org/2000/svg"><rect/></svg>'), /SVG drawing/)
  await assertRefused(text('\uFEFF<?xml version="1.0"?>\n<!-- x -->\n<svg width="9"/>'), /SVG drawing/)
  await assertRefused(text('\n<!DOCTYPE html><html><body>Sign in</body></html>'), /web page/)
  await assertRefused(text('<?xml version="1.0"?><annotation/>'), /XML/)
  await assertRefused(text('version https://git-lfs.github.com/spec/v1\noid sha256:00\n'), /Git LFS pointer/)
  await assertRefused(gzipSync('x'), /gzip-compressed/)
  await assertRefused(text('%PDF-1.7\n'), /PDF/)
  await assertRefused(text('BM\0\0\0\0'), /BMP/)
  await assertRefused(text('\0\0\0\x20ftypavif'), /HEIC or AVIF/)
  await assertRefused(concat(new Uint8Array(128), text('DICM')), /DICOM/)
  await assertRefused(Uint8Array.of(0, 1, 2, 3, 250), /starts with the bytes 00 01 02 03 fa/)
  await assertRefused(Uint8Array.of(0x89), /starts with the bytes 89/)
})

test('an SVG is never rendered, not even behind the first bytes of a format that is read', async () => {
  const svg =
    '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>'
  for (const start of ['RIFF    WEBP', 'RIFF    WEBPVP8 ', 'RIFF    WEBPVP8L', 'RIFF    WEBPVP8X'])
    await assertRefused(text(`${start}${svg}`), /WebP/)
  for (const start of ['II*\0', 'MM\0*', '\xff\xd8\xff', '\x89PNG\r\n\x1a\n'])
    await assertRefused(
      concat(
        Uint8Array.from(start, (c) => c.charCodeAt(0)),
        text(svg),
      ),
      /TIFF|JPEG|PNG/,
    )
})

test('a GIF is refused by name, still or animated, whatever it is called', async () => {
  const gif = await asSharp(noise(5, 9, 3))
    .gif()
    .toBuffer()
  await assertRefused(gif, /GIF/)
})

test('an animated WebP or PNG is refused: no frame is chosen for the user', async () => {
  const frames = await Promise.all([1, 2].map((seed) => encodePng(noise(20, 30, 3, 8, seed))))
  const webp = await sharp(frames, { join: { animated: true } })
    .webp()
    .toBuffer()
  await assertRefused(webp, /WebP is animated/)
  const control = pngChunk('acTL', Uint8Array.of(0, 0, 0, 2, 0, 0, 0, 0))
  await assertRefused(handmadePng(GREY, ROWS, [control]), /animated \(2 frames\)/)
})

test('a TIFF of several pages is refused; a thumbnail beside its page is not a page', async () => {
  const page = [
    [256, 3],
    [257, 2],
    [258, 8],
    [262, 1],
  ] satisfies [number, number][]
  await assertRefused(tiffDirectory(page, page, page), /3 pages/)
  const { height, width } = await readHeader(tiffDirectory(page, [[254, 1], ...page]))
  assert.deepEqual([height, width], [2, 3])
})

test('a TIFF whose directories run in a circle ends', async () => {
  const circle = tiffDirectory([
    [256, 3],
    [257, 2],
  ])
  circle[circle.length - 4] = 8
  assert.equal((await readHeader(circle)).width, 3)
})

test('sample types that are not read are named', async () => {
  const tiff = (...more: [tag: number, ...values: number[]][]) => tiffDirectory([[256, 3], [257, 2], ...more])
  await assertRefused(tiff([258, 32], [339, 3]), /32-bit floating-point/)
  await assertRefused(tiff([258, 16], [339, 2]), /signed 16-bit/)
  await assertRefused(tiff([258, 12]), /12-bit samples/)
  await assertRefused(tiff([258, 8, 8, 16], [262, 2], [277, 3]), /different width/)
  await assertRefused(tiff([258, 8, 8, 8], [262, 8], [277, 3]), /kind 8/)
  await assertRefused(tiff([258, 16, 16, 16, 16], [262, 5], [277, 4]), /16-bit CMYK/)
  await assertRefused(tiff([258, 8], [262, 1], [277, 7]), /7 channels/)
  const jpeg = (frame: number, bits: number) =>
    Uint8Array.of(0xff, 0xd8, 0xff, frame, 0, 11, bits, 0, 2, 0, 3, 1, 1, 0x11, 0)
  await assertRefused(jpeg(0xc1, 12), /12-bit samples/)
  await assertRefused(jpeg(0xc3, 16), /lossless/)
})

test('a header that claims more than the limit is refused before anything is decoded', async () => {
  const bomb = handmadePng({ ...GREY, height: 60000, width: 50000 }, ROWS)
  await assertRefused(bomb, /60000×50000 pixels \(height × width\), more than the limit of 2\^27/)
  await assertRefused(handmadePng({ ...GREY, height: 2, width: MAX_PIXELS / 2 + 1 }, ROWS), /limit/)
  const tiff = tiffDirectory([
    [256, 65535],
    [257, 65535],
    [258, 8],
  ])
  await assertRefused(tiff, /limit/)
})

test('a chunk that would unpack to hundreds of megabytes is not unpacked', async () => {
  const packed = gzipSync(Buffer.alloc(1.5e8)).subarray(10)
  const bomb = handmadePng(GREY, ROWS, [pngChunk('iCCP', concat(text('a\0\0'), packed))])
  const before = process.resourceUsage().maxRSS
  await preprocess(bomb, plainSpec())
  assert.ok(process.resourceUsage().maxRSS - before < 100_000, 'kilobytes')
})

test('an image without pixels is refused', async () => {
  await assertRefused(handmadePng({ ...GREY, height: 0 }, []), /0×3 pixels/)
})

test('a file cut short anywhere is refused, in every format', async () => {
  const grey = asSharp(noise(40, 56, 1)).toColourspace('b-w')
  const files = [
    await grey.png().toBuffer(),
    await grey.jpeg().toBuffer(),
    await grey.jpeg({ progressive: true }).toBuffer(),
    await grey.tiff({ compression: 'lzw' }).toBuffer(),
    await grey.tiff({ compression: 'none' }).toBuffer(),
    await grey.webp().toBuffer(),
    await asSharp(noise(40, 56, 3))
      .webp({ lossless: true })
      .toBuffer(),
  ]
  for (const file of files) {
    await preprocess(file, plainSpec())
    // The last 16 bytes of these TIFFs are their resolution: without it the pixels are whole.
    for (let length = 16; length < file.length - 16; length += Math.ceil(file.length / 40))
      await assertRefused(file.subarray(0, length), /cut short|damaged/)
  }
})

test('a PNG with a changed byte among its pixels is refused: its checksums see it', async () => {
  const png = await encodePng(noise(30, 41, 3))
  const pixels = Buffer.from(png).indexOf('IDAT')
  for (let at = pixels; at < png.length - 12; at += 97) {
    const damaged = Uint8Array.from(png)
    damaged[at]! ^= 0x10
    await assertRefused(damaged, /damaged|cut short/)
  }
})

test('damaged camera metadata does not make an image unreadable', async () => {
  for (const block of [Uint8Array.of(1, 2, 3), text('II*\0\xff\xff\xff\xff'), exifBlock(9), exifBlock(0)]) {
    const { source } = await preprocess(handmadePng(GREY, ROWS, [pngChunk('eXIf', block)]), plainSpec())
    assert.deepEqual([source.height, source.width], [2, 3])
  }
})

test('1×1 and 20000×1 images are stored, with a note', async () => {
  for (const [height, width] of [
    [1, 1],
    [20000, 1],
    [1, 20000],
  ] as const)
    for (const fit of ['squash', 'pad', 'crop'] as const) {
      const tensor = await preprocess(await encodePng(noise(height, width, 1)), plainSpec({ fit }))
      assert.deepEqual(tensor.shape, [1, 24, 31])
      assert.equal(tensor.data.length, 24 * 31)
      assert.match(tensor.notes.join(), /fewer than 8 rows or columns/)
    }
})

test('CMYK is converted by the plain formula, and noted', async () => {
  const inks = noise(16, 24, 4)
  const jpeg = await asSharp(inks).pipelineColourspace('cmyk').toColourspace('cmyk').jpeg().toBuffer()
  const tensor = await preprocess(jpeg, plainSpec({ channels: 3 }))
  assert.match(tensor.notes.join(), /CMYK was converted/)
  assert.equal(tensor.source.channels, 3)
})

test('16-bit values without a window are refused, and 8-bit values under a 16-bit window', async () => {
  await assertRefused(await encodePng(noise(9, 8, 1, 16)), /16-bit values/)
  const error = await preprocess(
    await encodePng(noise(9, 8, 1)),
    plainSpec({ window: { low: 0, high: 4095 }, dtype: 'int16' }),
  ).catch((e) => e)
  assert.match(error.message, /8-bit values .* from 0 to 4095/)
})

test('the content decides the format', async () => {
  const jpeg = await asSharp(noise(9, 16, 3))
    .jpeg()
    .toBuffer()
  assert.equal((await readHeader(jpeg)).format, 'jpeg')
})
