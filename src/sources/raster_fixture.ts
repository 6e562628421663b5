import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { encodeRaster } from '#raster'
import type { Raster } from '../imaging/raster.ts'
import { randomStream } from './random_stream.ts'

/** Drawn ellipses with masks, for tests of every room: grey or RGB, of unequal sides that differ from case to case. */
export interface DrawnImage {
  name: string
  image: Raster
  mask: Raster
}

/** [rows, columns] of the first; each further one has 3 columns more. */
export const DRAWN_SIZE = [38, 52] as const

/**
 * A bright ellipse on a darker slope with noise, on the left in some and on the right in others, its mask 0 and `value`.
 *
 * @param n which; every fifth has no ellipse
 */
export function drawnImage(n: number, channels: 1 | 3, value = 255): DrawnImage {
  const [height, width] = [DRAWN_SIZE[0], DRAWN_SIZE[1] + 3 * n]
  const name = `drawn_${String(n).padStart(3, '0')}`
  const random = randomStream('drawn', name)
  const isEmpty = n % 5 === 4
  const [cy, cx] = [height * (0.35 + 0.3 * random.uniform()), width * (0.3 + 0.4 * random.uniform())]
  const [ry, rx] = [6 + 3 * random.uniform(), 8 + 5 * random.uniform()]
  const image = new Uint8Array(height * width * channels)
  const mask = new Uint8Array(height * width)
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++, i++) {
      const isInside = !isEmpty && ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 <= 1
      if (isInside) mask[i] = value
      for (let c = 0; c < channels; c++) {
        const grey = 60 + (30 * x) / width + 15 * c + (isInside ? 90 - 25 * c : 0) + 8 * random.normal()
        image[i * channels + c] = Math.min(255, Math.max(0, Math.round(grey)))
      }
    }
  return {
    name,
    image: { data: image, height, width, channels },
    mask: { data: mask, height, width, channels: 1 },
  }
}

/** `images/<name>.png`, `masks/<name>.png` of 0 and 255, and a table with a patient for every two of them. */
export async function writeDrawnTable(root: string, count: number, channels: 1 | 3 = 3): Promise<void> {
  for (const folder of ['images', 'masks']) await mkdir(join(root, folder), { recursive: true })
  const rows = ['image,mask,patient']
  for (let n = 0; n < count; n++) {
    const { name, image, mask } = drawnImage(n, channels)
    await writeFile(join(root, 'images', `${name}.png`), await encodeRaster(image, 'png'))
    await writeFile(join(root, 'masks', `${name}.png`), await encodeRaster(mask, 'png'))
    rows.push(`images/${name}.png,masks/${name}.png,p${Math.floor(n / 2)}`)
  }
  await writeFile(join(root, 'cases.csv'), `${rows.join('\n')}\n`)
}

/** nnU-Net's raw layout of 2D images: colour in one file a case, grey with a second channel in a file of its own. */
export async function writeDrawnNnUNet(
  root: string,
  count: number,
  { rgb, ending = '.png' }: { rgb: boolean; ending?: '.png' | '.tif' },
): Promise<void> {
  for (const folder of ['imagesTr', 'labelsTr']) await mkdir(join(root, folder), { recursive: true })
  const format = ending === '.png' ? 'png' : 'tiff'
  for (let n = 0; n < count; n++) {
    const { name, image, mask } = drawnImage(n, rgb ? 3 : 1, 1)
    const files: [string, Raster][] = [
      [`imagesTr/${name}_0000${ending}`, image],
      [`labelsTr/${name}${ending}`, mask],
    ]
    if (!rgb) files.push([`imagesTr/${name}_0001${ending}`, { ...image, data: image.data.toReversed() }])
    for (const [file, raster] of files) await writeFile(join(root, file), await encodeRaster(raster, format))
  }
  await writeFile(
    join(root, 'dataset.json'),
    JSON.stringify({
      channel_names: rgb ? { 0: 'R', 1: 'G', 2: 'B' } : { 0: 'bright field', 1: 'reversed' },
      labels: { background: 0, ellipse: 1 },
      numTraining: count,
      file_ending: ending,
    }),
  )
}
