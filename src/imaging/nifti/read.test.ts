import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { axcodes } from '../geometry/orientation.ts'
import { ImageError } from '../image_error.ts'
import { noiseVolume } from '../testing/grids.ts'
import type { Affine, Volume } from '../volume.ts'
import * as web from './gzip_web.ts'
import { readNifti, readNiftiHeader } from './read.ts'
import { writeNifti } from './write.ts'

const AFFINE: Affine = [0, 0, -1.25, 20, 0, 0.5, 0, 7, 2.75, 0, 0, -30, 0, 0, 0, 1]

/** A file of 3×4×5 int16 voxels, changed by `edit`. */
async function file(edit: (header: DataView) => void = () => {}, volume = small()): Promise<Uint8Array> {
  const bytes = await writeNifti(volume, { gzip: false })
  edit(new DataView(bytes.buffer))
  return bytes
}

const small = (): Volume => ({
  data: Int16Array.from({ length: 60 }, (_, i) => i * 7 - 100),
  channels: 1,
  shape: [3, 4, 5],
  affine: AFFINE,
})

const DIM = 40
const TYPE = 70
const PIXDIM = 76
const VOX_OFFSET = 108
const SLOPE = 112
const INTER = 116
const UNITS = 123
const QFORM_CODE = 252
const SFORM_CODE = 254
const SROW = 280
const MAGIC = 344

async function refused(bytes: Uint8Array, message: RegExp): Promise<void> {
  await assert.rejects(readNifti(bytes), (error) => {
    assert.ok(error instanceof ImageError, String(error))
    assert.match(error.message, message)
    assert.ok(error.advice.length > 10)
    return true
  })
}

test('writing and reading is identity, plain and gzip, for volumes of channels and of one slice', async () => {
  for (const gzip of [false, true])
    for (const volume of [
      small(),
      noiseVolume({ shape: [1, 6, 7], affine: AFFINE }, 1),
      noiseVolume({ shape: [4, 6, 7], affine: AFFINE }, 3),
    ])
      assert.deepEqual(await readNifti(await writeNifti(volume, { gzip })), volume)
})

test('a slope of 0 or NaN means that nothing is scaled; any other scales, in doubles', async () => {
  for (const slope of [0, Number.NaN]) {
    const { data } = await readNifti(await file((h) => h.setFloat32(SLOPE, slope, true)))
    assert.deepEqual(data, small().data)
  }
  const { data } = await readNifti(
    await file((h) => {
      h.setFloat32(SLOPE, 2, true)
      h.setFloat32(INTER, -1024, true)
    }),
  )
  assert.deepEqual(
    data,
    Float32Array.from(small().data, (value) => value * 2 - 1024),
  )
  await refused(
    await file((h) => {
      h.setFloat32(SLOPE, 2, true)
      h.setFloat32(INTER, Number.NaN, true)
    }),
    /scales its values by 2 and adds NaN/,
  )
})

test('metres and micrometres become mm', async () => {
  for (const [unit, scale] of [
    [1, 1000],
    [3, 0.001],
    [0, 1],
  ] as const) {
    const { affine } = await readNifti(await file((h) => h.setUint8(UNITS, unit | 8)))
    assert.deepEqual(
      affine,
      AFFINE.map((value, k) => (k < 12 ? value * scale : value)),
    )
  }
})

test('a header that places no voxel is refused, never taken as an identity', async () => {
  await refused(
    await file((h) => {
      h.setInt16(QFORM_CODE, 0, true)
      h.setInt16(SFORM_CODE, 0, true)
    }),
    /qform_code and its sform_code are both 0[\s\S]*set its sform/,
  )
  await refused(await file((h) => h.setFloat32(SROW + 8, Number.NaN, true)), /not finite/)
  await refused(
    await file((h) => {
      for (let k = 0; k < 4; k++) h.setFloat32(SROW + 4 * k, 0, true)
    }),
    /singular/,
  )
  await refused(
    await file((h) => {
      h.setInt16(SFORM_CODE, 0, true)
      h.setFloat32(PIXDIM + 8, 0, true)
    }),
    /singular/,
  )
  await refused(
    await file((h) => {
      h.setInt16(SFORM_CODE, 0, true)
      h.setFloat32(256, 1.5, true)
    }),
    /not a rotation/,
  )
})

test('zero, negative and absurd sizes are refused before anything is allocated', async () => {
  await refused(await file((h) => h.setInt16(DIM + 4, 0, true)), /its size is 5 × 0 × 3/)
  await refused(await file((h) => h.setInt16(DIM + 2, -5, true)), /its size is -5 × 4 × 3/)
  await refused(await file((h) => h.setInt16(DIM, 9, true)), /9 axes/)
  const claims = (h: DataView) => {
    for (let k = 1; k <= 4; k++) h.setInt16(DIM + 2 * k, 32767, true)
    h.setInt16(DIM, 4, true)
  }
  const before = process.memoryUsage().arrayBuffers
  await refused(await file(claims), /cut short: 32767 × 32767 × 32767 × 32767 voxels/)
  await refused(gzipSync(await file(claims)), /cut short/)
  assert.ok(process.memoryUsage().arrayBuffers - before < 1e7)
})

test('one axis beyond z is channels, fourth or fifth; two are refused', async () => {
  const volume = noiseVolume({ shape: [3, 4, 5], affine: AFFINE }, 2)
  const fifth = await file((h) => {
    h.setInt16(DIM, 5, true)
    h.setInt16(DIM + 8, 1, true)
    h.setInt16(DIM + 10, 2, true)
  }, volume)
  assert.deepEqual(await readNifti(fifth), volume)
  const both = await file(
    (h) => {
      h.setInt16(DIM, 5, true)
      h.setInt16(DIM + 8, 2, true)
      h.setInt16(DIM + 10, 3, true)
    },
    noiseVolume({ shape: [3, 4, 5], affine: AFFINE }, 6),
  )
  await refused(both, /5 × 4 × 3 × 2 × 3: more than one axis beyond/)
})

test('types that are not one number per voxel are refused by name', async () => {
  for (const [code, name] of [
    [1, /single bits/],
    [32, /complex/],
    [128, /RGB/],
    [1536, /float128/],
    [1792, /complex/],
    [2304, /RGBA/],
    [77, /type 77/],
  ] as const)
    await refused(await file((h) => h.setInt16(TYPE, code, true)), name)
})

test('64-bit integers become float64 where it holds them, and are refused where it does not', async () => {
  const values = [0n, -5n, 2n ** 53n - 1n, -(2n ** 53n) + 1n]
  const wide = async (code: number, all: bigint[]) => {
    const volume = {
      data: new Float64Array(all.length),
      channels: 1,
      shape: [1, 1, all.length] as const,
      affine: AFFINE,
    }
    return file((h) => {
      h.setInt16(TYPE, code, true)
      for (const [i, value] of all.entries()) h.setBigInt64(352 + 8 * i, value, true)
    }, volume)
  }
  assert.deepEqual((await readNifti(await wide(1024, values))).data, Float64Array.from(values, Number))
  assert.deepEqual((await readNifti(await wide(1280, [7n, 2n ** 40n]))).data, Float64Array.of(7, 2 ** 40))
  await refused(await wide(1024, [1n, 2n ** 53n]), /int64 value 9.007e\+15/)
  await refused(await wide(1280, [-1n]), /uint64 value 1.845e\+19/)
})

test('truncated files are refused wherever they end', async () => {
  const plain = await file()
  const packed = gzipSync(plain)
  for (let end = 0; end < plain.length; end += 13)
    await refused(plain.subarray(0, end), /cut short|not NIfTI/)
  for (let end = 0; end < packed.length; end += 7)
    await refused(packed.subarray(0, end), /cut short|damaged|not NIfTI/)
})

test('a gzip file that inflates to far more than its header says is refused', async () => {
  const bomb = gzipSync(Buffer.concat([await file(), new Uint8Array(5 << 20)]))
  await refused(bomb, /far more than the 472 bytes/)
  const padded = gzipSync(Buffer.concat([await file(), new Uint8Array(1000)]))
  assert.deepEqual(await readNifti(padded), small())
})

test('what is no NIfTI file says so, whatever its name', async () => {
  await refused(new TextEncoder().encode('patient,age\n1,63\n'.repeat(40)), /not NIfTI/)
  await refused(gzipSync('just text'), /not NIfTI/)
  await refused(new Uint8Array(0), /not NIfTI/)
  await refused(await file((h) => h.setUint32(MAGIC, 0, true)), /ANALYZE 7\.5/)
  await refused(await file((h) => h.setFloat32(VOX_OFFSET, 100, true)), /begin at byte 100/)
})

test('a header of a pair asks for its image', async () => {
  const whole = await file((h) => {
    h.setUint8(MAGIC + 1, 'i'.charCodeAt(0))
    h.setFloat32(VOX_OFFSET, 0, true)
  })
  await refused(whole.subarray(0, 348), /one of a pair[\s\S]*is not read with it[\s\S]*as one file/)
  assert.deepEqual(await readNifti(whole.subarray(0, 348), whole.subarray(352)), small())
})

test('NaN voxels are kept for preprocessing to judge', async () => {
  const volume = noiseVolume({ shape: [2, 3, 4], affine: AFFINE }, 1)
  volume.data[5] = Number.NaN
  assert.ok(Number.isNaN((await readNifti(await writeNifti(volume, { gzip: true }))).data[5]))
})

test('the header alone is read from the first 4096 bytes of a large gzip file', async () => {
  const volume = noiseVolume({ shape: [30, 40, 50], affine: AFFINE }, 2)
  const packed = await writeNifti(volume, { gzip: true })
  assert.ok(packed.length > 100_000)
  const header = await readNiftiHeader(packed.subarray(0, 4096))
  assert.deepEqual(header.shape, [30, 40, 50])
  assert.equal(header.channels, 2)
  assert.equal(header.dtype, 'float32')
  assert.equal(header.dataBytes, 2 * 30 * 40 * 50 * 4)
  assert.deepEqual(header.affine, AFFINE)
})

test("the browser's inflater and deflater do as Node's", async () => {
  const bytes = new Uint8Array(Buffer.from('NIfTI '.repeat(50_000)))
  const packed = new Uint8Array(gzipSync(bytes))
  assert.deepEqual(await web.gunzip(packed, bytes.length, bytes.length), bytes)
  assert.deepEqual(await web.gunzip(packed, 10, bytes.length), bytes)
  await assert.rejects(web.gunzip(packed, 10, bytes.length - 1), /holds more than/)
  await assert.rejects(web.gunzip(packed.subarray(0, 200), bytes.length, bytes.length))
  assert.deepEqual(await web.gunzipStart(packed.subarray(0, 300), 544), bytes.subarray(0, 544))
  assert.deepEqual(new Uint8Array(gunzipSync(await web.gzip(bytes))), bytes)
})

const DATA = join(import.meta.dirname, '../../../../shared/data')

test('the Decathlon volumes at hand are read, and their labels lie on their grids', {
  skip: existsSync(DATA) ? false : 'no ../shared/data',
}, async () => {
  for (const task of ['Task04_Hippocampus', 'Task01_BrainTumour_like']) {
    const labels = readdirSync(join(DATA, task, 'labelsTr')).filter((name) => name.endsWith('.nii.gz'))
    assert.ok(labels.length > 0)
    for (const name of labels) {
      const image = await readNifti(readFileSync(join(DATA, task, 'imagesTr', name)))
      const mask = await readNifti(readFileSync(join(DATA, task, 'labelsTr', name)))
      assert.deepEqual(mask.shape, image.shape, name)
      assert.match(axcodes(image.affine), /^[LR][AP][IS]$/)
    }
  }
})
