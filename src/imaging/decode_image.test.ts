import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import sharp from 'sharp'
import { decodeImage } from './decode_image.ts'
import { readHeader } from './header.ts'
import { encodePng } from './raster_node.ts'
import { exifBlock, handmadePng, pngChunk } from './testing/files.ts'
import { runPython, skipWithoutPillow } from './testing/pillow.ts'
import { largestDifference, noise } from './testing/samples.ts'

const shared = join(import.meta.dirname, '../../../shared/data')
const decode = async (bytes: Uint8Array) => (await decodeImage(bytes, { exif_orientation: true })).raster

/**
 * Writes images of every kind with Pillow, then what Pillow reads back from each file in the folder: alpha over black,
 * palettes and CMYK as RGB, bits as 0 and 255; upright.
 */
const PILLOW = `
import glob, json, numpy as np
from PIL import Image, ImageOps
random = np.random.default_rng(0)
def pixels(*shape, top=256): return random.integers(0, top, shape, dtype=np.uint16 if top > 256 else np.uint8)
H, W = 37, 53
grey, rgb, rgba = pixels(H, W), pixels(H, W, 3), pixels(H, W, 4)
grey16 = pixels(H, W, top=65536)
smooth = Image.fromarray(pixels(5, 7, 3)).resize((W, H), Image.BICUBIC)
L, RGB, RGBA = Image.fromarray(grey), Image.fromarray(rgb), Image.fromarray(rgba)
palette = RGB.quantize(200)
images = {
    'bit.png': L.convert('1'), 'grey.png': L, 'rgb.png': RGB, 'rgba.png': RGBA, 'grey16.png': Image.fromarray(grey16),
    'grey_alpha.png': Image.fromarray(pixels(H, W, 2), 'LA'), 'palette16.png': RGB.quantize(16), 'palette.png': palette,
    'grey.jpg': smooth.convert('L'), 'rgb.jpg': smooth, 'bit.tif': L.convert('1'), 'grey.tif': L, 'rgb.tif': RGB,
    'rgba.tif': RGBA, 'palette.tif': palette, 'grey16.tif': Image.fromarray(grey16), 'cmyk.tif': Image.fromarray(rgba, 'CMYK'),
    'grey_alpha.tif': Image.fromarray(pixels(H, W, 2), 'LA'), 'grey16_big_endian.tif': Image.fromarray(grey16.astype('>u2')),
}
for name, image in images.items(): image.save(name)
palette.save('palette_transparent.png', transparency=3)
for compression in ('tiff_lzw', 'tiff_adobe_deflate', 'packbits'): RGB.save(f'{compression}.tif', compression=compression)
L.convert('1').save('group4.tif', compression='group4')
L.save('bigtiff.tif', big_tiff=True)
L.save('white_is_zero.tif', tiffinfo={262: 0}); L.convert('1').save('white_is_zero_bit.tif', tiffinfo={262: 0})
Image.fromarray(rgba, 'RGBX').save('unspecified_extra.tif')
smooth.save('jpeg_in_tiff.tif', compression='jpeg', quality=90)
for sampling in (0, 1, 2): smooth.save(f'sampling{sampling}.jpg', subsampling=sampling, quality=93)
smooth.save('progressive.jpg', progressive=True)
Image.fromarray(np.concatenate([np.asarray(smooth)] * 2, 2)[:, :, :4].copy(), 'CMYK').save('cmyk.jpg')
RGB.save('rgb.webp', lossless=True); RGBA.save('rgba.webp', lossless=True, exact=True); smooth.save('lossy.webp')
for orientation in range(1, 9):
    exif = Image.Exif(); exif[274] = orientation
    for kind in ('png', 'jpg', 'webp', 'tif'):
        smooth.save(f'turned{orientation}.{kind}', exif=exif, **({'lossless': True} if kind == 'webp' else {}))

shapes = {}
for name in sorted(glob.glob('*.*')):
    image = ImageOps.exif_transpose(Image.open(name))
    if image.mode in ('RGBA', 'LA', 'PA') or 'transparency' in image.info:
        isGrey = image.mode in ('LA', 'L', '1')
        image = image.convert('RGBA')
        black = Image.new('RGB', image.size)
        black.paste(image.convert('RGB'), mask=image.getchannel('A'))
        image = black.getchannel(0) if isGrey else black
    elif image.mode in ('P', 'CMYK'): image = image.convert('RGB')
    elif image.mode == '1': image = image.convert('L')
    data = np.asarray(image)
    data = data.astype(np.uint16) if image.mode.startswith('I;16') else data
    data.tofile(name + '.bin')
    shapes[name] = [*data.shape, 1][:3]
json.dump(shapes, open('shapes', 'w'))
`

/** Files that Pillow cannot write; their rows of packed samples. */
const HANDMADE: Record<string, Uint8Array> = {
  'grey2.png': handmadePng({ height: 2, width: 5, bits: 2, colourType: 0 }, [
    Uint8Array.of(0b00_01_10_11, 0b10_000000),
    Uint8Array.of(0b11_00_01_01, 0b01_000000),
  ]),
  'grey4.png': handmadePng({ height: 2, width: 3, bits: 4, colourType: 0 }, [
    Uint8Array.of(0x0f, 0x30),
    Uint8Array.of(0xa7, 0xc0),
  ]),
  'key_transparent.png': handmadePng(
    { height: 1, width: 4, bits: 8, colourType: 0 },
    [Uint8Array.of(9, 200, 9, 31)],
    [pngChunk('tRNS', Uint8Array.of(0, 9))],
  ),
  'gamma.png': handmadePng(
    { height: 1, width: 4, bits: 8, colourType: 0 },
    [Uint8Array.of(9, 200, 9, 31)],
    [pngChunk('gAMA', Uint8Array.of(0, 1, 0x86, 0xa0))],
  ),
}

describe('against Pillow', { skip: skipWithoutPillow }, () => {
  let folder = ''
  let shapes: Record<string, [number, number, number]> = {}
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fiducial-decode-'))
    for (const [name, bytes] of Object.entries(HANDMADE)) await writeFile(join(folder, name), bytes)
    const { data } = noise(37, 53, 3)
    const withProfile = sharp(data, { raw: { height: 37, width: 53, channels: 3 } }).withIccProfile('p3')
    await withProfile.png().toFile(join(folder, 'profile.png'))
    await withProfile.jpeg({ quality: 95 }).toFile(join(folder, 'profile.jpg'))
    await runPython(PILLOW, folder)
    shapes = JSON.parse(await readFile(join(folder, 'shapes'), 'utf8'))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  /** Largest difference from what Pillow decodes, and the mean. */
  async function difference(name: string): Promise<{ worst: number; mean: number }> {
    const raster = await decode(await readFile(join(folder, name)))
    assert.deepEqual([raster.height, raster.width, raster.channels], shapes[name], name)
    const bytes = Uint8Array.from(await readFile(join(folder, `${name}.bin`)))
    const expected = raster.data instanceof Uint16Array ? new Uint16Array(bytes.buffer) : bytes
    assert.equal(raster.data.length, expected.length, name)
    const differences = Array.from(raster.data, (v, i) => Math.abs(v - expected[i]!))
    return {
      worst: Math.max(...differences),
      mean: differences.reduce((a, b) => a + b, 0) / differences.length,
    }
  }

  test('PNG and TIFF decode to the same values as in Pillow, whatever their bits, colours and compression', async () => {
    const names = Object.keys(shapes).filter((name) => /png|tif$/.test(name) && !/jpeg|turned/.test(name))
    assert.ok(names.length >= 30, names.join())
    for (const name of names) assert.deepEqual(await difference(name), { worst: 0, mean: 0 }, name)
  })

  test('JPEG and WebP decode to within 2 grey levels, 0.05 on average; lossless WebP exactly', async () => {
    // All differences are 0 where Pillow and sharp use the same libjpeg-turbo kernels, as on x86-64.
    const names = Object.keys(shapes).filter((name) => /jpg|webp$|jpeg/.test(name) && !/turned/.test(name))
    assert.ok(names.length >= 10, names.join())
    for (const name of names) {
      const { worst, mean } = await difference(name)
      const isLossless = /rgba?\.webp/.test(name)
      assert.ok(worst <= (isLossless ? 0 : 2) && mean <= 0.05, `${name}: ${worst}, ${mean}`)
    }
  })

  test('all eight EXIF orientations turn as in Pillow, in each format', async () => {
    const names = Object.keys(shapes).filter((name) => /turned/.test(name))
    assert.equal(names.length, 32)
    for (const name of names) {
      const { worst } = await difference(name)
      assert.ok(worst <= (name.endsWith('jpg') ? 2 : 0), `${name}: ${worst}`)
      const { height, width } = await readHeader(await readFile(join(folder, name)))
      assert.deepEqual([height, width], shapes[name]!.slice(0, 2), name)
    }
  })

  test('colour profiles and gamma are ignored', async () => {
    for (const name of ['profile.png', 'profile.jpg', 'gamma.png']) {
      const { worst } = await difference(name)
      assert.ok(worst <= (name.endsWith('jpg') ? 2 : 0), `${name}: ${worst}`)
    }
  })
})

test('real radiographs and tiles decode as in Pillow', {
  skip: skipWithoutPillow || (existsSync(shared) ? false : 'no ../shared/data'),
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fiducial-real-'))
  try {
    const program = `
import sys, glob, numpy as np
from PIL import Image
for kind in ('chest-kermany', 'chest-nih64', 'histology-breakhis'):
    for name in sorted(glob.glob(f'${shared}/{kind}/images/*'))[::60]:
        np.asarray(Image.open(name)).tofile(name.split('/')[-1] + '.bin')
`
    await runPython(program, folder)
    let compared = 0
    for (const kind of ['chest-kermany', 'chest-nih64', 'histology-breakhis']) {
      const images = join(shared, kind, 'images')
      const names = (await readdir(images)).sort().filter((_, i) => i % 60 === 0)
      for (const name of names) {
        const { data } = await decode(await readFile(join(images, name)))
        const expected = await readFile(join(folder, `${name}.bin`))
        assert.equal(data.length, expected.length)
        const worst = largestDifference(data, expected)
        assert.ok(worst <= (name.endsWith('jpg') ? 2 : 0), `${name}: ${worst}`)
        compared++
      }
    }
    assert.ok(compared >= 25)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

test('written as PNG and read again, an image is the same', async () => {
  for (const bits of [8, 16] as const)
    for (const channels of [1, 3] as const) {
      const raster = noise(13, 29, channels, bits)
      assert.deepEqual(await decode(await encodePng(raster)), raster, `${channels} channels of ${bits} bits`)
    }
})

test('alpha survives encoding, and is composited over black when decoded', async () => {
  for (const bits of [8, 16] as const)
    for (const channels of [2, 4] as const) {
      const raster = noise(13, 29, channels, bits)
      const {
        raster: found,
        header,
        notes,
      } = await decodeImage(await encodePng(raster), { exif_orientation: true })
      const top = 2 ** bits - 1
      assert.equal(header.channels, channels === 2 ? 1 : 4)
      assert.match(notes.join(), /composited over black/)
      for (let i = 0; i < 13 * 29; i++) {
        const alpha = raster.data[i * channels + channels - 1]!
        for (let c = 0; c < channels - 1; c++) {
          const exact = (raster.data[i * channels + c]! * alpha) / top
          assert.ok(Math.abs(found.data[i * (channels - 1) + c]! - exact) <= 0.5)
        }
      }
    }
})

test('an opaque alpha channel is dropped without a note', async () => {
  const raster = noise(9, 17, 4)
  for (let i = 3; i < raster.data.length; i += 4) raster.data[i] = 255
  const { notes } = await decodeImage(await encodePng(raster), { exif_orientation: true })
  assert.deepEqual(notes, [])
})

test('premultiplied colours come out as they are: that is the image over black', async () => {
  const raster = noise(5, 7, 4)
  for (let i = 0; i < raster.data.length; i++) raster.data[i] = Math.min(raster.data[i]!, raster.data[i | 3]!)
  const tiff = await sharp(raster.data, { raw: { height: 5, width: 7, channels: 4 } })
    .tiff({ compression: 'none' })
    .toBuffer()
  const bytes = Uint8Array.from(tiff)
  // ExtraSamples (338), a short, count 1: from 2, straight, to 1, premultiplied.
  const entry = tiff.indexOf(Buffer.from([0x52, 1, 3, 0, 1, 0, 0, 0]))
  assert.ok(entry > 0)
  bytes[entry + 8] = 1
  const { raster: found } = await decodeImage(bytes, { exif_orientation: true })
  const colours = Uint8Array.from(raster.data).filter((_, i) => i % 4 !== 3)
  assert.equal(found.data.length, colours.length)
  for (const [i, colour] of colours.entries()) assert.ok(Math.abs(found.data[i]! - colour) <= 1)
})

test('16-bit RGB keeps all its bits', async () => {
  const png = handmadePng({ height: 1, width: 2, bits: 16, colourType: 2 }, [
    Uint8Array.of(0x12, 0x34, 0, 1, 0xff, 0xfe, 0x80, 0, 0x7f, 0xff, 0, 0xff),
  ])
  assert.deepEqual([...(await decode(png)).data], [0x1234, 1, 0xfffe, 0x8000, 0x7fff, 0xff])
})

test('interlaced PNG and tiled TIFF decode to the same pixels as plain ones', async () => {
  const raster = noise(130, 75, 3)
  const image = sharp(raster.data, { raw: { height: 130, width: 75, channels: 3 } })
  assert.deepEqual(await decode(await image.png({ progressive: true }).toBuffer()), raster)
  const tiled = image.tiff({
    tile: true,
    tileHeight: 64,
    tileWidth: 32,
    compression: 'deflate',
    predictor: 'horizontal',
  })
  assert.deepEqual(await decode(await tiled.toBuffer()), raster)
})

test('an image whose orientation is to be ignored stays as stored', async () => {
  const png = handmadePng(
    { height: 1, width: 3, bits: 8, colourType: 0 },
    [Uint8Array.of(1, 2, 3)],
    [pngChunk('eXIf', exifBlock(6))],
  )
  const turned = await decodeImage(png, { exif_orientation: true })
  assert.deepEqual([turned.raster.height, turned.raster.width], [3, 1])
  const { raster, header } = await decodeImage(png, { exif_orientation: false })
  assert.deepEqual([raster.height, raster.width], [1, 3])
  assert.deepEqual([header.height, header.width], [3, 1], 'the header is after the turn')
})
