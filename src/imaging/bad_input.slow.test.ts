import assert from 'node:assert/strict'
import { test } from 'node:test'
import sharp from 'sharp'
import { ImageError } from './image_error.ts'
import { preprocess } from './preprocess.ts'
import { encodePng } from './raster_node.ts'
import { exifBlock, handmadePng, pngChunk } from './testing/files.ts'
import { noise, plainSpec, randomSource } from './testing/samples.ts'

const ROUNDS = 40_000

test('whatever bytes change, a file becomes a tensor or an ImageError, soon, and in bounded memory', async () => {
  const { data, height, width } = noise(23, 41, 3)
  const image = sharp(data, { raw: { height, width, channels: 3 } })
  const files = [
    await encodePng(noise(23, 41, 1)),
    await encodePng(noise(23, 41, 4, 16)),
    handmadePng(
      { height: 1, width: 3, bits: 8, colourType: 0 },
      [Uint8Array.of(1, 2, 3)],
      [pngChunk('eXIf', exifBlock(6))],
    ),
    await image.jpeg().toBuffer(),
    await image
      .jpeg({ progressive: true })
      .withExif({ IFD0: { Orientation: '6' } })
      .toBuffer(),
    await image.tiff({ compression: 'lzw' }).toBuffer(),
    await image.tiff({ compression: 'jpeg' }).toBuffer(),
    await image.tiff({ tile: true, compression: 'deflate' }).toBuffer(),
    await image.webp().toBuffer(),
    await image
      .webp({ lossless: true })
      .withExif({ IFD0: { Orientation: '3' } })
      .toBuffer(),
  ]
  const next = randomSource(11)
  const spec = plainSpec({ window: { low: 0, high: 255 } })
  const counts = { stored: 0, refused: 0 }
  for (let round = 0; round < ROUNDS; round++) {
    const bytes = Uint8Array.from(files[round % files.length]!)
    const numChanges = 1 + (next() % 8)
    // Half the changes hit the first 128 bytes, where headers are.
    for (let i = 0; i < numChanges; i++)
      bytes[next() % (next() % 2 ? Math.min(128, bytes.length) : bytes.length)] = [0, 1, 0x7f, 0xff, next()][
        next() % 5
      ]!
    const start = performance.now()
    try {
      const tensor = await preprocess(bytes, spec)
      assert.equal(tensor.data.length, 24 * 31)
      counts.stored++
    } catch (error) {
      if (!(error instanceof ImageError)) throw error
      counts.refused++
    }
    assert.ok(performance.now() - start < 5000, `round ${round} took too long`)
  }
  assert.ok(counts.stored > 100 && counts.refused > 100, JSON.stringify(counts))
  assert.ok(process.resourceUsage().maxRSS < 1.5e6, `${process.resourceUsage().maxRSS} kB`)
})
