import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Raster } from './raster.ts'
import { resize } from './resize.ts'
import { runPython, skipWithoutPillow } from './testing/pillow.ts'
import { digest, noise } from './testing/samples.ts'

// Height and width differ everywhere, so that a swapped axis cannot pass.
const SIZES: { from: [number, number]; to: [number, number] }[] = [
  { from: [64, 48], to: [17, 23] },
  { from: [17, 23], to: [64, 48] },
  { from: [50, 70], to: [50, 31] },
  { from: [50, 70], to: [29, 70] },
  { from: [50, 70], to: [50, 70] },
  { from: [31, 200], to: [30, 199] },
  { from: [1, 1], to: [5, 9] },
  { from: [1, 300], to: [7, 3] },
  { from: [300, 1], to: [3, 7] },
  { from: [2000, 1], to: [11, 8] },
  { from: [97, 101], to: [1, 2] },
  { from: [13, 29], to: [130, 31] },
  { from: [211, 307], to: [96, 96] },
  { from: [523, 389], to: [224, 160] },
  // The height loses more, or barely not more, than twice as many pixels as the width: columns, or rows, go first.
  { from: [97, 61], to: [40, 72] },
  { from: [61, 97], to: [72, 40] },
  { from: [200, 61], to: [137, 30] },
  { from: [200, 61], to: [138, 30] },
]
const FILTERS = ['bilinear', 'bicubic'] as const

const PILLOW = `
import json, numpy as np
from PIL import Image
for i, case in enumerate(json.load(open('cases.json'))):
    data = np.fromfile(f'in{i}.bin', dtype=np.uint16 if case['bits'] == 16 else np.uint8)
    data = data.reshape(case['shape'])
    image = Image.fromarray(data[:, :, 0] if data.shape[2] == 1 else data)
    filter = getattr(Image.Resampling, case['filter'].upper())
    np.asarray(image.resize(case['to'][::-1], filter)).tofile(f'out{i}.bin')
`

const PYTORCH = `
import json, numpy as np, torch
torch.set_num_threads(1)
for i, case in enumerate(json.load(open('cases.json'))):
    data = np.fromfile(f'in{i}.bin', dtype=np.uint16 if case['bits'] == 16 else np.uint8)
    x = torch.from_numpy(data.astype(np.float64)).reshape(1, 1, *case['shape'][:2])
    y = torch.nn.functional.interpolate(x, case['to'], mode=case['filter'], align_corners=False, antialias=False)
    y.clamp(0, 2 ** case['bits'] - 1).numpy().tofile(f'out{i}.bin')
`

interface Case {
  source: Raster
  to: [number, number]
  filter: 'bilinear' | 'bicubic'
}

const resizeByPillow = (cases: Case[]) => resizeByPython(PILLOW, cases)

/** What the program makes of each case, as bytes of interleaved samples. */
async function resizeByPython(program: string, cases: Case[]): Promise<Buffer[]> {
  const folder = await mkdtemp(join(tmpdir(), 'fiducial-resize-'))
  try {
    const list = cases.map(({ source, to, filter }) => ({
      shape: [source.height, source.width, source.channels],
      bits: source.data instanceof Uint16Array ? 16 : 8,
      to,
      filter,
    }))
    await writeFile(join(folder, 'cases.json'), JSON.stringify(list))
    for (const [i, { source }] of cases.entries()) await writeFile(join(folder, `in${i}.bin`), source.data)
    await runPython(program, folder)
    return await Promise.all(cases.map((_, i) => readFile(join(folder, `out${i}.bin`))))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const HASHED: Case[] = FILTERS.flatMap((filter) =>
  [noise(97, 61, 3), noise(97, 61, 1), noise(97, 61, 1, 16)].map((source) => ({
    source,
    to: [40, 72] as [number, number],
    filter,
  })),
)

const size = ([height, width]: [number, number]) => ({ height, width })

/** [C, H, W] planes as interleaved [H, W, C] bytes. */
function interleave({ data, channels, height, width }: ReturnType<typeof resize>): Buffer {
  const out = data.slice()
  for (let c = 0; c < channels; c++)
    for (let i = 0; i < height * width; i++) out[i * channels + c] = data[c * height * width + i]!
  return Buffer.from(out.buffer, out.byteOffset, out.byteLength)
}

test('8-bit grey and RGB resize to the same bytes as Pillow, both filters, up and down', {
  skip: skipWithoutPillow,
}, async () => {
  const cases: Case[] = SIZES.flatMap(({ from, to }, i) =>
    FILTERS.flatMap((filter) =>
      ([1, 3] as const).map((channels) => ({ source: noise(...from, channels, 8, i), to, filter })),
    ),
  )
  cases.push(...HASHED.filter(({ source }) => source.data instanceof Uint8Array))
  const expected = await resizeByPillow(cases)
  for (const [i, { source, to, filter }] of cases.entries()) {
    const found = interleave(resize(source, size(to), { filter, antialias: true }))
    assert.ok(
      found.equals(expected[i]!),
      `${source.height}×${source.width}×${source.channels} to ${to.join('×')} ${filter}`,
    )
  }
})

test('16-bit grey resizes to the same values as Pillow mode I;16', { skip: skipWithoutPillow }, async () => {
  const cases: Case[] = SIZES.flatMap(({ from, to }, i) =>
    FILTERS.map((filter) => ({ source: noise(...from, 1, 16, i), to, filter })),
  )
  cases.push(...HASHED.filter(({ source }) => source.data instanceof Uint16Array))
  const expected = await resizeByPillow(cases)
  for (const [i, { source, to, filter }] of cases.entries()) {
    const found = interleave(resize(source, size(to), { filter, antialias: true }))
    assert.ok(found.equals(expected[i]!), `${source.height}×${source.width} to ${to.join('×')} ${filter}`)
  }
})

test('16-bit bicubic overshoot is clipped to the range', () => {
  const edge = {
    data: Uint16Array.of(0, 0, 0, 65535, 65535, 65535),
    height: 1,
    width: 6,
    channels: 1 as const,
  }
  const { data } = resize(edge, { height: 1, width: 24 }, { filter: 'bicubic', antialias: true })
  assert.equal(Math.min(...data), 0)
  assert.equal(Math.max(...data), 65535)
  assert.ok(data[14]! >= data[13]!, 'no wrapping around')
})

test('the bytes are the same where there is no Pillow: hashes of cases compared with it above', () => {
  const hashes = HASHED.map(({ source, to, filter }) =>
    digest(resize(source, size(to), { filter, antialias: true }).data).slice(0, 16),
  )
  assert.deepEqual(hashes, [
    '66619f959c0bf018',
    '53f8805b5314cc21',
    'c20712dc29bf7053',
    'd2c335408830b6b6',
    'b6a5b8e3536ef05f',
    '6b09de2822ba5954',
  ])
})

test("without antialias the result is PyTorch's interpolate(align_corners=False), rounded", {
  skip: skipWithoutPillow,
}, async () => {
  const cases = SIZES.filter(({ from }) => from[0] * from[1] < 4000).flatMap(({ from, to }, i) =>
    FILTERS.flatMap((filter) =>
      ([8, 16] as const).map((bits) => ({ source: noise(...from, 1, bits, i), to, filter })),
    ),
  )
  const expected = await resizeByPython(PYTORCH, cases)
  for (const [i, { source, to, filter }] of cases.entries()) {
    const { data } = resize(source, size(to), { filter, antialias: false })
    const reference = new Float64Array(Uint8Array.from(expected[i]!).buffer)
    const worst = Math.max(...Array.from(data, (v, k) => Math.abs(v - reference[k]!)))
    assert.ok(worst <= 0.51, `${source.height}×${source.width} to ${to.join('×')} ${filter}: ${worst}`)
  }
})

test('resizing to the same size changes nothing', () => {
  for (const source of [noise(7, 5, 1), noise(7, 5, 1, 16)])
    for (const filter of FILTERS)
      for (const antialias of [true, false])
        assert.deepEqual(resize(source, size([7, 5]), { filter, antialias }).data, source.data)
})

test('a constant image stays constant', () => {
  for (const value of [0, 1, 127, 254, 255])
    for (const filter of FILTERS)
      for (const antialias of [true, false]) {
        const source = {
          data: new Uint8Array(33 * 57).fill(value),
          height: 33,
          width: 57,
          channels: 1 as const,
        }
        const { data } = resize(source, size([20, 90]), { filter, antialias })
        assert.ok(data.every((v) => v === value))
      }
})

test('a region is the same as that part of the whole', () => {
  const source = noise(90, 130, 3)
  const region = { top: 5, left: 17, height: 21, width: 30 }
  for (const options of [
    { filter: 'bicubic', antialias: true },
    { filter: 'bilinear', antialias: false },
  ] as const) {
    const whole = resize(source, { height: 40, width: 64 }, options)
    const part = resize(source, { height: 40, width: 64 }, options, region)
    for (let c = 0; c < 3; c++)
      for (let y = 0; y < region.height; y++)
        for (let x = 0; x < region.width; x++)
          assert.equal(
            part.data[(c * region.height + y) * region.width + x],
            whole.data[(c * 40 + y + region.top) * 64 + x + region.left],
          )
  }
})

test('a region of an enormous resized image costs no more than the region', () => {
  const line = noise(1, 20000, 1)
  const region = { top: 0, left: 2_239_888, height: 224, width: 224 }
  const found = resize(
    line,
    { height: 224, width: 4_480_000 },
    { filter: 'bilinear', antialias: true },
    region,
  )
  assert.equal(found.data.length, 224 * 224)
})
