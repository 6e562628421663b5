import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { decodeRaster } from '#raster'
import { type ImageHeader, readHeader } from '../imaging/header.ts'

export interface ImagesLook {
  sampled: number
  unreadable: number
  /** Paths of those. */
  unreadable_files: string[]
  height: { min: number; median: number; max: number }
  width: { min: number; median: number; max: number }
  bits: 8 | 16
  formats: string[]
  lossy: boolean
  /** Stored as RGB but every pixel grey counts as grey. */
  colour: 'grey' | 'rgb'
  /** Most files have three components or more, whatever they show. */
  is_stored_as_rgb: boolean
  /** Mean colour as of haematoxylin and eosin: bright, and short of green. */
  is_stained: boolean
}

const HEADERS = 64
const DECODED = 6

/**
 * Sizes, depth and colour of images, from an even sample of them: headers of 64, pixels of 6.
 *
 * @returns null when none of the sample can be read
 */
export async function lookAtImages(root: string, paths: readonly string[]): Promise<ImagesLook | null> {
  const headers: { path: string; header: ImageHeader }[] = []
  const unreadableFiles: string[] = []
  const sample = evenly(paths, HEADERS)
  for (const path of sample) {
    const header = await readSome(join(root, path))
      .then(readHeader)
      .catch(() => null)
    if (header) headers.push({ path, header })
    else unreadableFiles.push(path)
  }
  if (headers.length === 0) return null
  const coloured = headers.filter(({ header }) => header.channels >= 3)
  const means: [number, number, number][] = []
  for (const { path } of evenly(coloured, DECODED)) {
    const mean = await meanColour(join(root, path)).catch(() => null)
    if (mean) means.push(mean)
  }
  const isColour = ([r, g, b]: [number, number, number]) => Math.max(r, g, b) - Math.min(r, g, b) > 2
  const is_stored_as_rgb = coloured.length > headers.length / 2
  const colour = is_stored_as_rgb && (means.length === 0 || means.some(isColour)) ? 'rgb' : 'grey'
  return {
    sampled: headers.length,
    unreadable: unreadableFiles.length,
    unreadable_files: unreadableFiles,
    height: range(headers.map(({ header }) => header.height)),
    width: range(headers.map(({ header }) => header.width)),
    bits: headers.some(({ header }) => header.bits === 16) ? 16 : 8,
    formats: [...new Set(headers.map(({ header }) => header.format))].sort(),
    lossy: headers.some(({ header }) => header.lossy),
    colour,
    is_stored_as_rgb,
    is_stained: colour === 'rgb' && isStained(means),
  }
}

/** At most `most` items, evenly spread over the list. */
export function evenly<T>(items: readonly T[], most: number): T[] {
  if (items.length <= most) return [...items]
  return Array.from({ length: most }, (_, i) => items[Math.floor((i * items.length) / most)]!)
}

function isStained(means: readonly [number, number, number][]): boolean {
  if (means.length === 0) return false
  const [r, g, b] = [0, 1, 2].map((c) => means.reduce((sum, mean) => sum + mean[c]!, 0) / means.length) as [
    number,
    number,
    number,
  ]
  return r > g + 5 && b > g + 5 && (r + g + b) / 3 > 110
}

/** A header lies near the start, but metadata may push it back, and a TIFF's may be anywhere. */
async function readSome(path: string): Promise<Uint8Array> {
  const file = await open(path)
  try {
    const { size } = await file.stat()
    const bytes = Buffer.alloc(Math.min(size, /\.tiff?$/i.test(path) ? 1 << 28 : 1 << 20))
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0)
    return bytes.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

async function meanColour(path: string): Promise<[number, number, number]> {
  const { data, channels } = await decodeRaster(await readSome(path))
  if (channels < 3) return [0, 0, 0]
  const sums = [0, 0, 0]
  let apart = 0
  for (let i = 0; i + 2 < data.length; i += channels) {
    for (let c = 0; c < 3; c++) sums[c]! += data[i + c]!
    apart += Math.abs(data[i]! - data[i + 1]!) + Math.abs(data[i + 1]! - data[i + 2]!)
  }
  const n = data.length / channels
  const scale = data instanceof Uint16Array ? 257 : 1
  // Colours that cancel out in the mean are still colours.
  const spread = apart / n / scale
  const [r, g, b] = sums.map((sum) => sum / n / scale) as [number, number, number]
  return spread < 2 ? [g, g, g] : Math.max(r, g, b) - Math.min(r, g, b) > 2 ? [r, g, b] : [r + spread, g, b]
}

function range(values: readonly number[]): { min: number; median: number; max: number } {
  const sorted = [...values].sort((a, b) => a - b)
  return {
    min: sorted[0]!,
    median: Math.round((sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2),
    max: sorted.at(-1)!,
  }
}
