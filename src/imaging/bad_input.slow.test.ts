import assert from 'node:assert/strict'
import { test } from 'node:test'
import sharp from 'sharp'
import { ImageError } from './image_error.ts'
import { paletteAsGrey } from './png_palette.ts'
import { preprocess } from './preprocess.ts'
import { encodePng } from './raster_node.ts'
import { rasterMask } from './raster_volume.ts'
import { exifBlock, handmadePng, handmadeTiff, pngChunk } from './testing/files.ts'
import { noise, plainSpec, randomSource } from './testing/samples.ts'

const ROUNDS = 40_000
/** Of the processor, not of a clock, which other work would delay. */
const MOST_SECONDS = 2
/** Of the whole process, and so of all allocations in it. */
const MOST_KILOBYTES = 1e6

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
  const spec = plainSpec({ window: { low: 0, high: 255 } })
  await fuzz(files, ROUNDS, 11, async (bytes) => {
    const tensor = await preprocess(bytes, spec)
    assert.equal(tensor.data.length, 24 * 31)
  })
})

test('the same of masks, whose palettes and narrow samples are read as stored', async () => {
  const { data, height, width } = noise(23, 41, 1)
  const labels = sharp(data, { raw: { height, width, channels: 1 } })
  const row = Uint8Array.of(0, 2, 1, 3)
  const colours = [
    pngChunk(
      'PLTE',
      Uint8Array.from({ length: 12 }, (_, i) => 20 * i),
    ),
    pngChunk('tRNS', Uint8Array.of(0)),
  ]
  const palette = handmadePng({ height: 2, width: 4, bits: 8, colourType: 3 }, [row, row], colours)
  const files = [
    palette,
    handmadePng(
      { height: 2, width: 8, bits: 2, colourType: 3 },
      [row.subarray(0, 2), row.subarray(2)],
      colours,
    ),
    await encodePng({ data, height, width, channels: 1 }),
    await encodePng(noise(23, 41, 1, 16)),
    handmadeTiff({ height: 2, width: 8, bits: 4, photometric: 0 }, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)),
    handmadeTiff({ height: 2, width: 8, bits: 1, photometric: 1 }, Uint8Array.of(0xa5, 0x5a)),
    await labels.tiff({ compression: 'lzw' }).toBuffer(),
    await labels.webp({ lossless: true }).toBuffer(),
  ]
  await fuzz(files, ROUNDS / 2, 12, async (bytes) => {
    const { data: values, shape } = await rasterMask(bytes)
    assert.equal(values.length, shape[1] * shape[2])
  })
  await fuzz([palette], ROUNDS / 2, 13, async (bytes) => {
    assert.ok(paletteAsGrey(bytes).length <= bytes.length)
  })
})

/** Changes bytes of the files at random; what is made of each is a result or an ImageError. */
async function fuzz(
  files: readonly Uint8Array[],
  rounds: number,
  seed: number,
  read: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const next = randomSource(seed)
  const counts = { stored: 0, refused: 0 }
  for (let round = 0; round < rounds; round++) {
    const bytes = Uint8Array.from(files[round % files.length]!)
    const numChanges = 1 + (next() % 8)
    // Half the changes hit the first 128 bytes, where headers are.
    for (let i = 0; i < numChanges; i++)
      bytes[next() % (next() % 2 ? Math.min(128, bytes.length) : bytes.length)] = [0, 1, 0x7f, 0xff, next()][
        next() % 5
      ]!
    const start = process.cpuUsage()
    try {
      await read(bytes)
      counts.stored++
    } catch (error) {
      if (!(error instanceof ImageError)) throw error
      counts.refused++
    }
    const { user, system } = process.cpuUsage(start)
    const seconds = (user + system) / 1e6
    assert.ok(seconds < MOST_SECONDS, `round ${round} took ${seconds} s`)
  }
  assert.ok(counts.stored > 100 && counts.refused > 100, JSON.stringify(counts))
  assert.ok(process.resourceUsage().maxRSS < MOST_KILOBYTES, `${process.resourceUsage().maxRSS} kB`)
}
