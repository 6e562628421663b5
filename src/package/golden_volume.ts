import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { encodeRaster } from '#raster'
import { voxelSizes } from '../imaging/geometry/affine.ts'
import { writeNifti } from '../imaging/nifti/write.ts'
import { preprocessVolume, type StoredVolume } from '../imaging/preprocess_volume.ts'
import type { Raster } from '../imaging/raster.ts'
import { readMask } from '../imaging/read_mask.ts'
import type { Affine, Triple } from '../imaging/volume.ts'
import { UserError } from '../schema/errors.ts'
import type { VolumeSpec } from '../schema/preprocess.ts'
import { GoldenVolumes, type SegmentPackage } from '../schema/segment_package.ts'
import { makeFolder, readBytes, sha256 } from '../storage/local.ts'
import { encodeSafetensors, readSafetensors } from '../storage/safetensors.ts'
import { maskEncoding } from './mask_encoding.ts'
import { readJson } from './read.ts'
import { maskOf } from './segment.ts'

/** A phantom volume: never a patient's. */
export interface GoldenVolume {
  file: string
  bytes: Uint8Array
  /** Of 2D images with a file a channel, the further ones. */
  channelFiles?: { file: string; bytes: Uint8Array }[]
  stored: Pick<StoredVolume, 'data' | 'shape' | 'affine' | 'source'>
}

export interface ExpectedVolume extends GoldenVolume {
  tensor_sha256: string
  /** float32 [K, Z, Y, X] of the reference. */
  probabilities: Float32Array
  /** uint8, on the grid of the file. */
  mask: Uint8Array
}

/**
 * Two phantoms of other orientation and spacing, so that a flipped or swapped axis shows; the first is longer than a
 * window along one axis and shorter along another, so that blending and padding show.
 *
 * @param patch [z, y, x] of a window
 */
export async function goldenVolumes(spec: VolumeSpec, patch: Triple): Promise<GoldenVolume[]> {
  if (spec.distance_unit === 'px') return goldenImages(spec, patch)
  const spacing = spec.spacing_mm ?? [1, 1, 1]
  const [least, most] = [patch.indexOf(Math.min(...patch)), patch.lastIndexOf(Math.max(...patch))]
  const unlike = SHAPE.map((side, k) => {
    if (k === least) return Math.max(side, patch[k]! + 9)
    return k === most ? Math.max(1, Math.min(side, patch[k]! - 3)) : side
  })
  const golden: GoldenVolume[] = []
  for (const [file, shape, turn, scale] of [
    ['ras.nii.gz', unlike, [1, 1, 1], [1, 1, 1]],
    ['lps_anisotropic.nii.gz', SHAPE, [1, -1, -1], [1.5, 0.8, 0.8]],
  ] as const) {
    const grid = { shape: shape as unknown as Triple, spacing: spacing.map((mm, k) => mm * scale[k]!), turn }
    const bytes = await phantom(spec, grid)
    golden.push({ file, bytes, stored: await preprocessVolume([bytes], spec) })
  }
  return golden
}

/**
 * Writes `golden/`: the phantoms, and what the reference made of them.
 *
 * @param probabilities of each phantom, float32 [K, Z, Y, X]
 */
export async function writeGoldenVolumes(
  packageDir: string,
  golden: readonly GoldenVolume[],
  probabilities: readonly Float32Array[],
  model: Pick<SegmentPackage, 'task' | 'inference'>,
): Promise<ExpectedVolume[]> {
  const dir = join(packageDir, 'golden')
  await makeFolder(dir)
  const expected: ExpectedVolume[] = []
  const inputs: GoldenVolumes['inputs'] = []
  for (const [i, one] of golden.entries()) {
    const stem = one.file.replace(/\.(nii\.gz|png|tif)$/, '')
    const { ending, encode } = maskEncoding(one.stored.source)
    const names = { probabilities: `${stem}.safetensors`, mask: `${stem}_mask${ending}` }
    const values = probabilities[i]!
    const [, ...grid] = one.stored.shape
    // `maskOf` leaves them as they are.
    const mask = maskOf(values, one.stored, model)
    const shape = [values.length / (grid[0]! * grid[1]! * grid[2]!), ...grid]
    for (const { file, bytes } of [one, ...(one.channelFiles ?? [])]) await writeFile(join(dir, file), bytes)
    await writeFile(
      join(dir, names.probabilities),
      encodeSafetensors({ probabilities: { dtype: 'F32', shape, data: values } }),
    )
    await writeFile(join(dir, names.mask), await encode(mask))
    const tensor_sha256 = tensorSha256(one.stored.data)
    inputs.push({
      file: one.file,
      ...(one.channelFiles && { channel_files: one.channelFiles.map(({ file }) => file) }),
      tensor_sha256,
      ...names,
    })
    expected.push({ ...one, tensor_sha256, probabilities: values, mask: mask.data })
  }
  await writeFile(
    join(dir, 'golden.json'),
    `${JSON.stringify({ inputs } satisfies GoldenVolumes, null, 2)}\n`,
  )
  return expected
}

/**
 * Reads `golden/` back, preprocessed anew.
 *
 * @throws {UserError} naming the file that is missing or damaged
 */
export async function readGoldenVolumes(packageDir: string, spec: VolumeSpec): Promise<ExpectedVolume[]> {
  const dir = join(packageDir, 'golden')
  const where = join(dir, 'golden.json')
  const { inputs } = readJson(GoldenVolumes, new TextDecoder().decode(await readBytes(where)), where)
  return Promise.all(
    inputs.map(async ({ file, channel_files = [], tensor_sha256, probabilities, mask }) => {
      const [bytes, ...others] = (await Promise.all(
        [file, ...channel_files].map((name) => readBytes(join(dir, name))),
      )) as [Uint8Array, ...Uint8Array[]]
      return {
        file,
        bytes,
        ...(others.length > 0 && {
          channelFiles: others.map((one, i) => ({ file: channel_files[i]!, bytes: one })),
        }),
        stored: await preprocessVolume([bytes, ...others], spec),
        tensor_sha256,
        probabilities: await readProbabilities(join(dir, probabilities)),
        mask: (await readMask(await readBytes(join(dir, mask)), null)).volume.data as Uint8Array,
      }
    }),
  )
}

async function readProbabilities(path: string): Promise<Float32Array> {
  const data = (await readSafetensors(path)).probabilities?.data
  if (data instanceof Float32Array) return data
  throw new UserError(
    `${path} holds no float32 tensor "probabilities".\n  do: copy the package again from where it was made.`,
  )
}

export function tensorSha256(data: GoldenVolume['stored']['data']): string {
  return sha256(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
}

/** Unequal sides: a swapped axis cannot pass. */
const SHAPE: Triple = [22, 30, 26]

/**
 * Two phantoms of 2D images, as PNG and as TIFF: the one larger than a window along one side and smaller along the other,
 * and the other of plain unequal sides. Grey or RGB in one file, any other number of channels in a file each.
 */
async function goldenImages(spec: VolumeSpec, patch: Triple): Promise<GoldenVolume[]> {
  const [, y, x] = patch
  const steps = spec.spacing_mm ?? [1, 1, 1]
  const unlike: Triple = [1, Math.max(SHAPE[1], y + 9), Math.max(1, Math.min(SHAPE[2], x - 3))]
  const golden: GoldenVolume[] = []
  for (const [stem, format, [, rows, columns]] of [
    ['tall', 'png', unlike],
    ['wide', 'tiff', [1, SHAPE[2], SHAPE[1]] as const],
  ] as const) {
    const shape: Triple = [1, Math.ceil(rows * steps[1]), Math.ceil(columns * steps[2])]
    const rasters = phantomRasters(spec, shape)
    const files: { file: string; bytes: Uint8Array }[] = []
    for (const [c, raster] of rasters.entries()) {
      const channel = rasters.length > 1 ? `_${String(c).padStart(4, '0')}` : ''
      const file = `${stem}${channel}.${format === 'png' ? 'png' : 'tif'}`
      files.push({ file, bytes: await encodeRaster(raster, format) })
    }
    const [first, ...channelFiles] = files as [(typeof files)[number], ...typeof files]
    const stored = await preprocessVolume(
      files.map(({ bytes }) => bytes),
      spec,
    )
    golden.push({ ...first, ...(channelFiles.length > 0 && { channelFiles }), stored })
  }
  return golden
}

/** 8-bit samples, or 16-bit ones where the spec reads beyond. */
function phantomRasters(spec: VolumeSpec, shape: Triple): Raster[] {
  const [, height, width] = shape
  const { channels } = spec
  const values = phantomValues(spec, shape, 255)
  // Specs from before depths were noted show it by their window alone.
  const isWide =
    spec.bits === undefined
      ? spec.intensity.some((one) => one.kind === 'window' && one.high > 255)
      : spec.bits === 16
  const most = isWide ? 65535 : 255
  const samples = (length: number) => (isWide ? new Uint16Array(length) : new Uint8Array(length))
  const pixels = height * width
  const perFile = channels === 3 ? 3 : 1
  return Array.from({ length: channels / perFile }, (_, file): Raster => {
    const data = samples(pixels * perFile)
    for (let c = 0; c < perFile; c++)
      for (let i = 0; i < pixels; i++)
        data[i * perFile + c] = Math.min(most, Math.max(0, Math.round(values[(file + c) * pixels + i]!)))
    return { data, height, width, channels: perFile }
  })
}

/** Blobs as a NIfTI file. */
function phantom(
  spec: VolumeSpec,
  grid: { shape: Triple; spacing: readonly number[]; turn: readonly [number, number, number] },
): Promise<Uint8Array> {
  const data = phantomValues(spec, grid.shape, 1000)
  const [sz, sy, sx] = grid.spacing as [number, number, number]
  const [tz, ty, tx] = grid.turn
  const affine: Affine = [0, 0, tx * sx, -20, 0, ty * sy, 0, 30, tz * sz, 0, 0, -10, 0, 0, 0, 1]
  return writeNifti(
    { data, channels: spec.channels, shape: grid.shape, affine },
    { gzip: true, description: `phantom ${voxelSizes(affine).join(' x ')} mm` },
  )
}

/**
 * Blobs on a slope, different in each channel, within the values that the spec reads, else up to `most`; along a longer
 * axis they recur. One slice is cut through them.
 */
function phantomValues(spec: VolumeSpec, shape: Triple, most: number): Float32Array {
  const [Z, Y, X] = shape
  const data = new Float32Array(spec.channels * Z * Y * X)
  let at = 0
  for (let c = 0; c < spec.channels; c++) {
    const intensity = spec.intensity[c]!
    const [low, high] = intensity.kind === 'window' ? [intensity.low, intensity.high] : [0, most]
    for (let k = 0; k < Z; k++)
      for (let j = 0; j < Y; j++)
        for (let i = 0; i < X; i++) {
          const [z, y, x] = [Z === 1 ? 11 : k % SHAPE[0], j % SHAPE[1], i % SHAPE[2]]
          const blob = Math.exp(-(((z - 9 - c) / 4) ** 2 + ((y - 17) / 6) ** 2 + ((x - 10) / 5) ** 2))
          const second = Math.exp(-(((z - 14) / 3) ** 2 + ((y - 9 + c) / 4) ** 2 + ((x - 18) / 3) ** 2))
          const value = 0.15 + 0.2 * (k / Z) + 0.1 * (i / X) + 0.5 * blob - 0.25 * second
          data[at++] = Math.fround(low + value * (high - low))
        }
  }
  return data
}
