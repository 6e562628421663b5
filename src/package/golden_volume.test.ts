import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { axcodes } from '../imaging/geometry/orientation.ts'
import type { Triple } from '../imaging/volume.ts'
import { UserError } from '../schema/errors.ts'
import type { VolumeSpec } from '../schema/preprocess.ts'
import type { SegmentPackage } from '../schema/segment_package.ts'
import { encodeSafetensors } from '../storage/safetensors.ts'
import { goldenVolumes, readGoldenVolumes, tensorSha256, writeGoldenVolumes } from './golden_volume.ts'
import { TINY_IMAGE_SPEC, TINY_VOLUME_SPEC } from './testing/tiny_segmenter.ts'

const PATCH: Triple = [16, 20, 12]
const MODEL: Pick<SegmentPackage, 'task' | 'inference'> = {
  task: { kind: 'segment', structures: [{ name: 'a', values: [7] }], exclusive: true },
  inference: { mirror: [], largest_component: [], reasons: [] },
}

test('phantoms differ in orientation and spacing, and one is longer and shorter than a window', async () => {
  const [first, second] = await goldenVolumes(TINY_VOLUME_SPEC, PATCH)
  assert.deepEqual(
    [axcodes(first!.stored.source.affine), axcodes(second!.stored.source.affine)],
    ['RAS', 'LPS'],
  )
  const [, z, y, x] = first!.stored.shape
  assert.ok(x > PATCH[2] && y < PATCH[1] && z > PATCH[0], [z, y, x].join())
  assert.notDeepEqual(second!.stored.source.shape, second!.stored.shape.slice(1), 'it is resampled')
  assert.deepEqual(
    (await goldenVolumes(TINY_VOLUME_SPEC, PATCH)).map(({ bytes }) => tensorSha256(bytes)),
    [first!, second!].map(({ bytes }) => tensorSha256(bytes)),
    'the same each time',
  )
})

test('each channel shows something else, within the window that the spec reads', async () => {
  const window = { kind: 'window' as const, low: -100, high: 300 }
  const spec = { ...TINY_VOLUME_SPEC, channels: 2, intensity: [window, window], dtype: 'int16' as const }
  for (const { stored } of await goldenVolumes(spec, PATCH)) {
    const [a, b] = [
      stored.data.subarray(0, stored.data.length / 2),
      stored.data.subarray(stored.data.length / 2),
    ]
    assert.ok(a.some((value, i) => value !== b[i]))
    const clipped = stored.data.filter((value) => value === -32768 || value === 32767).length
    assert.ok(clipped < 0.01 * stored.data.length, 'clipped values hide differences')
  }
})

test('what is written is what is read, the stored tensor made anew from the file', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'fiducial-golden-volume-'))
  try {
    const golden = await goldenVolumes(TINY_VOLUME_SPEC, PATCH)
    const probabilities = golden.map(({ stored }) => {
      const voxels = stored.data.length
      const object = Float32Array.from(stored.data, (value) => (value > 0.5 ? 0.9 : 0.2))
      return Float32Array.from({ length: 2 * voxels }, (_, i) =>
        i < voxels ? 1 - object[i]! : object[i - voxels]!,
      )
    })
    const written = await writeGoldenVolumes(dir, golden, probabilities, MODEL)
    const read = await readGoldenVolumes(dir, TINY_VOLUME_SPEC)
    assert.equal(read.length, 2)
    for (const [i, one] of read.entries()) {
      assert.equal(one.file, written[i]!.file)
      assert.equal(one.tensor_sha256, tensorSha256(one.stored.data))
      assert.deepEqual(one.probabilities, probabilities[i])
      assert.deepEqual(one.mask, written[i]!.mask)
      assert.ok(one.mask.includes(7) && one.mask.includes(0))
    }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
})

test('a file without its tensor is told by name', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'fiducial-golden-tensor-'))
  try {
    const golden = await goldenVolumes(TINY_VOLUME_SPEC, PATCH)
    const probabilities = golden.map(({ stored }) => new Float32Array(2 * stored.data.length))
    await writeGoldenVolumes(dir, golden, probabilities, MODEL)
    const tensor = { dtype: 'F32' as const, shape: [1], data: new Float32Array(1) }
    await writeFile(join(dir, 'golden/ras.safetensors'), encodeSafetensors({ other: tensor }))
    await assert.rejects(
      readGoldenVolumes(dir, TINY_VOLUME_SPEC),
      (error) => error instanceof UserError && /ras\.safetensors holds no float32 tensor/.test(error.message),
    )
  } finally {
    await rm(dir, { recursive: true })
  }
})

test('of 2D images the phantoms are a PNG and a TIFF, one larger and smaller than a window; channels are a file each but for RGB', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'fiducial-golden-image-'))
  try {
    for (const channels of [1, 2, 3]) {
      const intensity = Array(channels).fill({ kind: 'window', low: 0, high: channels === 2 ? 4095 : 255 })
      const dtype = channels === 2 ? ('int16' as const) : ('uint8' as const)
      const spec: VolumeSpec = { ...TINY_IMAGE_SPEC, channels, intensity, dtype, spacing_mm: [1, 2, 2] }
      const golden = await goldenVolumes(spec, [1, 20, 24])
      assert.deepEqual(
        golden.map(({ file, channelFiles }) => [file, channelFiles?.map((one) => one.file)]),
        channels === 2
          ? [
              ['tall_0000.png', ['tall_0001.png']],
              ['wide_0000.tif', ['wide_0001.tif']],
            ]
          : [
              ['tall.png', undefined],
              ['wide.tif', undefined],
            ],
      )
      const [, z, y, x] = golden[0]!.stored.shape
      assert.ok(z === 1 && y > 20 && x < 24, [z, y, x].join())
      const probabilities = golden.map(({ stored }) => {
        const pixels = stored.data.length / channels
        return Float32Array.from({ length: 2 * pixels }, (_, i) => (i < pixels ? 0.4 : 0.6))
      })
      const model = {
        ...MODEL,
        task: { ...MODEL.task, structures: [{ name: 'a', values: [255] }] },
      }
      const written = await writeGoldenVolumes(dir, golden, probabilities, model)
      const read = await readGoldenVolumes(dir, spec)
      for (const [i, one] of read.entries()) {
        assert.deepEqual(one.stored.data, written[i]!.stored.data)
        assert.equal(tensorSha256(one.stored.data), one.tensor_sha256)
        assert.ok(
          one.mask.length > 0 && one.mask.every((value) => value === 255),
          'the mask is a PNG of its values',
        )
      }
    }
  } finally {
    await rm(dir, { recursive: true })
  }
})
