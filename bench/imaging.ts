import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { decodeImage } from '../src/imaging/decode_image.ts'
import { preprocess } from '../src/imaging/preprocess.ts'
import type { Raster } from '../src/imaging/raster.ts'
import { encodePng } from '../src/imaging/raster_node.ts'
import { resize } from '../src/imaging/resize.ts'
import { noise, plainSpec } from '../src/imaging/testing/samples.ts'

/**
 * CPU time of bytes to stored tensor, as a ratio to Pillow's open, convert and resize in the same run: 1024×1024 to
 * 224×224, bilinear. Ratios only: seconds say more about the machine than about the code. `node bench/imaging.ts`
 */
const SIDE = 1024
const TARGET: [number, number] = [224, 224]
const ROUNDS = 5
const REPEATS = 12

const python = join(import.meta.dirname, '../.venv/bin/python')
const PILLOW = `
import io, json, sys, time, numpy as np
from PIL import Image
def cpu(f):
    f()
    start = time.process_time()
    for _ in range(${REPEATS}): f()
    return (time.process_time() - start) / ${REPEATS} * 1000
times = {}
for name, mode in json.loads(sys.argv[1]):
    data = open(name, 'rb').read()
    def whole():
        image = Image.open(io.BytesIO(data))
        return np.asarray((image.convert(mode) if mode else image).resize((224, 224), Image.BILINEAR))
    decoded = Image.open(io.BytesIO(data)); decoded.load()
    decoded = decoded.convert(mode) if mode else decoded
    times[name] = [cpu(whole), cpu(lambda: decoded.resize((224, 224), Image.BILINEAR))]
print(json.dumps(times))
`

interface Subject {
  file: string
  bytes: Uint8Array
  channels: 1 | 3
  is16: boolean
}

const folder = mkdtempSync(join(tmpdir(), 'fiducial-bench-'))
try {
  const subjects = await makeSubjects()
  for (const { file, bytes } of subjects) writeFileSync(join(folder, file), bytes)
  const best = new Map(
    subjects.map(({ file }) => [file, { ours: [Infinity, Infinity], pillow: [Infinity, Infinity] }]),
  )
  // Rounds alternate, and the best of each counts: a busy machine then slows both alike.
  for (let round = 0; round < ROUNDS; round++) {
    const modes = subjects.map(({ file, channels, is16 }) => [
      file,
      is16 ? null : channels === 1 ? 'L' : 'RGB',
    ])
    const out = execFileSync(python, ['-c', PILLOW, JSON.stringify(modes)], { cwd: folder, encoding: 'utf8' })
    const pillow = JSON.parse(out) as Record<string, number[]>
    for (const subject of subjects) {
      const entry = best.get(subject.file)!
      entry.pillow = entry.pillow.map((t, i) => Math.min(t, pillow[subject.file]![i]!))
      const ours = await timeOurs(subject)
      entry.ours = entry.ours.map((t, i) => Math.min(t, ours[i]!))
    }
  }
  for (const [file, { ours, pillow }] of best) {
    const [whole, resizeAlone] = ours.map((t, i) => Number((t / pillow[i]!).toFixed(2)))
    console.log(JSON.stringify({ file, cpu_time_over_pillow: { whole, resize_alone: resizeAlone } }))
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}

/** Smooth shapes with fine noise on top: they compress about as radiographs and photographs do. */
async function makeSubjects(): Promise<Subject[]> {
  const shapes = resize(
    noise(64, 64, 3),
    { height: SIDE, width: SIDE },
    { filter: 'bicubic', antialias: true },
  )
  const grain = noise(SIDE, SIDE, 3)
  const plane = SIDE * SIDE
  const rgb: Raster = { data: new Uint8Array(plane * 3), height: SIDE, width: SIDE, channels: 3 }
  for (let i = 0; i < rgb.data.length; i++)
    rgb.data[i] = Math.min(255, shapes.data[(i % 3) * plane + Math.floor(i / 3)]! + (grain.data[i]! >> 6))
  const grey: Raster = {
    ...rgb,
    data: Uint8Array.from(shapes.data.subarray(0, plane), (v, i) => Math.min(255, v + (grain.data[i]! >> 6))),
    channels: 1,
  }
  const grey16: Raster = { ...grey, data: Uint16Array.from(grey.data, (v, i) => v * 16 + (i % 4)) }
  const jpeg = ({ data, height, width, channels }: Raster) =>
    sharp(data, { raw: { height, width, channels } })
      .toColourspace(channels === 1 ? 'b-w' : 'srgb')
      .jpeg({ quality: 92 })
      .toBuffer()
  return [
    { file: 'grey.png', bytes: await encodePng(grey), channels: 1, is16: false },
    { file: 'grey16.png', bytes: await encodePng(grey16), channels: 1, is16: true },
    { file: 'rgb.png', bytes: await encodePng(rgb), channels: 3, is16: false },
    { file: 'grey.jpg', bytes: await jpeg(grey), channels: 1, is16: false },
    { file: 'rgb.jpg', bytes: await jpeg(rgb), channels: 3, is16: false },
    { file: 'rgb_to_grey.jpg', bytes: await jpeg(rgb), channels: 1, is16: false },
  ]
}

async function timeOurs({ bytes, channels, is16 }: Subject): Promise<[whole: number, resizeAlone: number]> {
  const spec = plainSpec({
    size: TARGET,
    channels,
    ...(is16 ? { window: { low: 0, high: 4095 }, dtype: 'int16' } : {}),
  })
  const { raster } = await decodeImage(bytes, { exif_orientation: true })
  const single = channels === 1 && raster.channels === 3 ? { ...raster, channels: 1 as const } : raster
  const size = { height: TARGET[0], width: TARGET[1] }
  return [
    await cpuMs(() => preprocess(bytes, spec)),
    await cpuMs(() => resize(single, size, { filter: 'bilinear', antialias: true })),
  ]
}

async function cpuMs(f: () => unknown): Promise<number> {
  await f()
  const start = process.cpuUsage()
  for (let i = 0; i < REPEATS; i++) await f()
  const { user, system } = process.cpuUsage(start)
  return (user + system) / 1000 / REPEATS
}
