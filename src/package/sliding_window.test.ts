import assert from 'node:assert/strict'
import { test } from 'node:test'
import { askPython, skipWithoutMonai } from '../imaging/testing/monai.ts'
import { cutWindows, importance, mirrorings, slidingWindow, windowStarts } from './sliding_window.ts'

type Triple = readonly [number, number, number]
interface Setting {
  shape: readonly [number, number, number, number]
  patch: Triple
  overlap: number
  mirror: readonly number[]
  empty: number
  batch: number
}

const SETTINGS: Setting[] = [
  { shape: [1, 7, 9, 11], patch: [4, 5, 6], overlap: 0.5, mirror: [], empty: 0, batch: 1 },
  { shape: [1, 23, 17, 30], patch: [16, 12, 10], overlap: 0.25, mirror: [], empty: 0, batch: 3 },
  { shape: [2, 13, 11, 12], patch: [5, 7, 4], overlap: 0, mirror: [], empty: 0, batch: 2 },
  { shape: [1, 13, 10, 12], patch: [8, 6, 5], overlap: 0.75, mirror: [], empty: 0, batch: 1 },
  { shape: [2, 5, 31, 8], patch: [8, 10, 13], overlap: 0.5, mirror: [], empty: 1.5, batch: 4 },
  { shape: [1, 3, 4, 5], patch: [8, 9, 10], overlap: 0.5, mirror: [], empty: -2, batch: 1 },
  { shape: [1, 8, 10, 13], patch: [8, 10, 13], overlap: 0.5, mirror: [], empty: 0, batch: 1 },
  { shape: [2, 9, 14, 10], patch: [6, 8, 7], overlap: 0.5, mirror: [0, 2], empty: 0, batch: 2 },
  { shape: [1, 4, 14, 6], patch: [6, 8, 7], overlap: 0.6, mirror: [0, 1, 2], empty: 1, batch: 1 },
]

/** Values without any symmetry. */
function values(length: number, seed: number): Float32Array {
  let state = seed
  return Float32Array.from({ length }, () => {
    state = (state * 48271) % 2147483647
    return state / 2147483647
  })
}

/** Two outputs that depend on where in a window a voxel lies, so that no window can stand for another. */
function network(setting: Setting, ramp: Float32Array) {
  const voxels = setting.patch[0] * setting.patch[1] * setting.patch[2]
  const [C] = setting.shape
  return async (windows: ArrayLike<number>, batch: number) => {
    const out = new Float32Array(batch * 2 * voxels)
    for (let b = 0; b < batch; b++)
      for (let i = 0; i < voxels; i++) {
        const first = windows[b * C * voxels + i]!
        const last = windows[(b * C + C - 1) * voxels + i]!
        out[2 * b * voxels + i] = first * ramp[i]!
        out[(2 * b + 1) * voxels + i] = last - 3 * ramp[i]!
      }
    return out
  }
}

const PROGRAM = `
import json, itertools
import numpy as np, torch
from monai.inferers import sliding_window_inference
settings = json.load(open("settings.json"))
for n, s in enumerate(settings):
    x = torch.from_numpy(np.fromfile(f"x{n}.f32", np.float32).reshape(1, *s["shape"]))
    ramp = torch.from_numpy(np.fromfile(f"ramp{n}.f32", np.float32).reshape(1, 1, *s["patch"]))
    def net(w):
        return torch.cat([w[:, :1] * ramp, w[:, -1:] - 3 * ramp], 1)
    def mirrored(w):
        flips = [f for r in range(len(s["mirror"]) + 1) for f in itertools.combinations(s["mirror"], r)]
        axes = [[a + 2 for a in f] for f in flips]
        return sum(torch.flip(net(torch.flip(w, a)), a) if a else net(w) for a in axes) / len(axes)
    y = sliding_window_inference(
        x, s["patch"], s["batch"], mirrored, overlap=s["overlap"], mode="gaussian", cval=s["empty"]
    )
    y.numpy().astype(np.float32).tofile(f"y{n}.f32")
`

test("logits are those of MONAI's sliding_window_inference: odd sizes, small volumes, overlaps, mirroring", {
  skip: skipWithoutMonai,
}, async () => {
  const inputs = SETTINGS.map((setting, n) => ({
    setting,
    volume: values(
      setting.shape.reduce((a, b) => a * b),
      n + 1,
    ),
    ramp: values(
      setting.patch.reduce((a, b) => a * b),
      n + 100,
    ),
  }))
  const answers = await askPython(
    PROGRAM,
    {
      'settings.json': JSON.stringify(SETTINGS),
      ...Object.fromEntries(
        inputs.flatMap(({ volume, ramp }, n) => [
          [`x${n}.f32`, volume],
          [`ramp${n}.f32`, ramp],
        ]),
      ),
    },
    inputs.map((_, n) => `y${n}.f32`),
  )
  for (const [n, { setting, volume, ramp }] of inputs.entries()) {
    const { shape, empty, ...rest } = setting
    const found = await slidingWindow(
      { ...rest, shape, volume, empty: Array(shape[0]).fill(empty), numOutputs: 2 },
      network(setting, ramp),
    )
    const answer = answers[n]!
    const expected = new Float32Array(
      answer.buffer.slice(answer.byteOffset, answer.byteOffset + answer.length),
    )
    assert.equal(found.length, expected.length)
    let worst = 0
    for (let i = 0; i < found.length; i++) worst = Math.max(worst, Math.abs(found[i]! - expected[i]!))
    assert.ok(worst < 2e-6, `${JSON.stringify(setting)}: ${worst}`)
  }
})

test('a network that gives each voxel itself gives the volume back, whatever the windows', async () => {
  const shape = [1, 7, 10, 9] as const
  const volume = values(630, 5)
  for (const patch of [
    [3, 4, 5],
    [7, 10, 9],
    [9, 12, 20],
  ] as const)
    for (const overlap of [0, 0.5, 0.75]) {
      const request = { volume, shape, patch, overlap, mirror: [1], empty: [9], numOutputs: 1, batch: 2 }
      const found = await slidingWindow(request, async (windows) => Float32Array.from(windows))
      for (let i = 0; i < volume.length; i++) assert.ok(Math.abs(found[i]! - volume[i]!) < 1e-6)
    }
})

test('windows cover a volume at even steps, the last drawn back to its end', () => {
  const along = (size: number, patch: number, overlap: number) =>
    windowStarts([1, 1, size], [1, 1, patch], overlap).map(([, , x]) => x)
  assert.deepEqual(along(10, 4, 0.5), [0, 2, 4, 6])
  assert.deepEqual(along(11, 4, 0.5), [0, 2, 4, 6, 7])
  assert.deepEqual(along(9, 4, 0), [0, 4, 5])
  assert.deepEqual(along(4, 4, 0.5), [0])
  assert.deepEqual(along(3, 1, 0.9), [0, 1, 2], 'a step is a voxel at least')
  assert.deepEqual(windowStarts([3, 2, 4], [2, 2, 3], 0), [
    [0, 0, 0],
    [0, 0, 1],
    [1, 0, 0],
    [1, 0, 1],
  ])
})

test('windows keep the stored type, and are continued with the value of each channel', () => {
  const volume = Int16Array.from({ length: 2 * 2 * 3 * 4 }, (_, i) => i)
  const windows = cutWindows({ volume, shape: [2, 2, 3, 4], patch: [1, 2, 3], empty: [-7, 70] }, [
    [1, 2, 2],
    [-1, 0, 0],
  ])
  assert.ok(windows instanceof Int16Array)
  assert.deepEqual([...windows.subarray(0, 12)], [22, 23, -7, -7, -7, -7, 46, 47, 70, 70, 70, 70])
  assert.deepEqual([...windows.subarray(12)], [...Array(6).fill(-7), ...Array(6).fill(70)])
})

test('weights fall from the centre and never below a thousandth', () => {
  const weight = importance([9, 5, 7])
  assert.equal(weight.length, 315)
  assert.equal(weight[157], 1)
  assert.equal(weight[0], Math.fround(1e-3))
  assert.ok(weight[156]! < 1 && weight[156] === weight[158])
})

test('mirrorings are all combinations of axes', () => {
  assert.deepEqual(mirrorings([0, 2]), [[], [0], [2], [0, 2]])
  assert.deepEqual(mirrorings([]), [[]])
})
