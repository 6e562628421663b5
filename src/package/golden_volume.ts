import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { voxelSizes } from '../imaging/geometry/affine.ts'
import { readNifti } from '../imaging/nifti/read.ts'
import { writeNifti } from '../imaging/nifti/write.ts'
import { preprocessVolume, type StoredVolume } from '../imaging/preprocess_volume.ts'
import type { Affine, Triple } from '../imaging/volume.ts'
import type { VolumeSpec } from '../schema/preprocess.ts'
import { GoldenVolumes, type SegmentPackage } from '../schema/segment_package.ts'
import { makeFolder, readBytes, sha256 } from '../storage/local.ts'
import { encodeSafetensors, readSafetensors } from '../storage/safetensors.ts'
import { readJson } from './read.ts'
import { maskOf } from './segment.ts'

/** A phantom volume: never a patient's. */
export interface GoldenVolume {
  file: string
  bytes: Uint8Array
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
    const stem = one.file.replace(/\.nii\.gz$/, '')
    const names = { probabilities: `${stem}.safetensors`, mask: `${stem}_mask.nii.gz` }
    const values = probabilities[i]!
    const [, ...grid] = one.stored.shape
    // `maskOf` leaves them as they are.
    const mask = maskOf(values, one.stored, model)
    const shape = [values.length / (grid[0]! * grid[1]! * grid[2]!), ...grid]
    await writeFile(join(dir, one.file), one.bytes)
    await writeFile(
      join(dir, names.probabilities),
      encodeSafetensors({ probabilities: { dtype: 'F32', shape, data: values } }),
    )
    await writeFile(join(dir, names.mask), await writeNifti(mask, { gzip: true }))
    const tensor_sha256 = tensorSha256(one.stored.data)
    inputs.push({ file: one.file, tensor_sha256, ...names })
    expected.push({ ...one, tensor_sha256, probabilities: values, mask: mask.data })
  }
  await writeFile(
    join(dir, 'golden.json'),
    `${JSON.stringify({ inputs } satisfies GoldenVolumes, null, 2)}\n`,
  )
  return expected
}

/** Reads `golden/` back, preprocessed anew. */
export async function readGoldenVolumes(packageDir: string, spec: VolumeSpec): Promise<ExpectedVolume[]> {
  const dir = join(packageDir, 'golden')
  const where = join(dir, 'golden.json')
  const { inputs } = readJson(GoldenVolumes, new TextDecoder().decode(await readBytes(where)), where)
  return Promise.all(
    inputs.map(async ({ file, tensor_sha256, probabilities, mask }) => {
      const bytes = await readBytes(join(dir, file))
      return {
        file,
        bytes,
        stored: await preprocessVolume([bytes], spec),
        tensor_sha256,
        probabilities: (await readSafetensors(join(dir, probabilities))).probabilities!.data as Float32Array,
        mask: (await readNifti(await readBytes(join(dir, mask)))).data as Uint8Array,
      }
    }),
  )
}

export function tensorSha256(data: GoldenVolume['stored']['data']): string {
  return sha256(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
}

/** Unequal sides: a swapped axis cannot pass. */
const SHAPE: Triple = [22, 30, 26]

/** Blobs on a slope, different in each channel, within the values that the spec reads; along a longer axis they recur. */
function phantom(
  spec: VolumeSpec,
  grid: { shape: Triple; spacing: readonly number[]; turn: readonly [number, number, number] },
): Promise<Uint8Array> {
  const [Z, Y, X] = grid.shape
  const data = new Float32Array(spec.channels * Z * Y * X)
  let at = 0
  for (let c = 0; c < spec.channels; c++) {
    const intensity = spec.intensity[c]!
    const [low, high] = intensity.kind === 'window' ? [intensity.low, intensity.high] : [0, 1000]
    for (let k = 0; k < Z; k++)
      for (let j = 0; j < Y; j++)
        for (let i = 0; i < X; i++) {
          const [z, y, x] = [k % SHAPE[0], j % SHAPE[1], i % SHAPE[2]]
          const blob = Math.exp(-(((z - 9 - c) / 4) ** 2 + ((y - 17) / 6) ** 2 + ((x - 10) / 5) ** 2))
          const second = Math.exp(-(((z - 14) / 3) ** 2 + ((y - 9 + c) / 4) ** 2 + ((x - 18) / 3) ** 2))
          const value = 0.15 + 0.2 * (k / Z) + 0.1 * (i / X) + 0.5 * blob - 0.25 * second
          data[at++] = Math.fround(low + value * (high - low))
        }
  }
  const [sz, sy, sx] = grid.spacing as [number, number, number]
  const [tz, ty, tx] = grid.turn
  const affine: Affine = [0, 0, tx * sx, -20, 0, ty * sy, 0, 30, tz * sz, 0, 0, -10, 0, 0, 0, 1]
  return writeNifti(
    { data, channels: spec.channels, shape: grid.shape, affine },
    { gzip: true, description: `phantom ${voxelSizes(affine).join(' x ')} mm` },
  )
}
