import { join } from 'node:path'
import { imagenetNormalization, inputNormalization } from '../imaging/normalization.ts'
import { UserError } from '../schema/errors.ts'
import type { ImageSpec, InputNormalization, PreprocessSpec, VolumeSpec } from '../schema/preprocess.ts'
import type { ImagePrepare, VolumePrepare } from '../schema/recipe.ts'
import type { ShardIndex } from '../schema/shard_set.ts'
import { readBytes, sha256 } from '../storage/local.ts'
import { readSafetensors, type Tensor } from '../storage/safetensors.ts'
import { shardFiles } from './shard_layout.ts'
import { nameOf } from './shard_set.ts'
import { readReport } from './staging.ts'

/** Per channel, of values as the network scales them: integers in 0..1. */
export interface Statistics {
  mean: number[]
  std: number[]
}

/**
 * Mean and standard deviation of stored pixels from the shards' sums; no pixel is read.
 *
 * @param isIncluded by position in shard order
 * @throws {UserError} if no case is included, or a file of sums is not the one that was written with its shard
 */
export async function pixelStatistics(
  dir: string,
  index: Pick<ShardIndex, 'shards' | 'dtype' | 'preprocess'>,
  isIncluded: (position: number) => boolean = () => true,
): Promise<Statistics> {
  const { preprocess } = index
  const { channels } = preprocess
  const sum = new Float64Array(channels)
  const square = new Float64Array(channels)
  let cases = 0
  let pixels = 0
  let position = 0
  for (const shard of index.shards) {
    const sums = await readSums(dir, nameOf(shard.file))
    for (let row = 0; row < shard.num_cases; row++) {
      if (!isIncluded(position++)) continue
      cases++
      pixels += sums.count ? Number(sums.count.data[row]) : pixelsOf(preprocess)
      for (let c = 0; c < channels; c++) {
        sum[c]! += Number(sums.sum!.data[row * channels + c])
        square[c]! += Number(sums.sum_sq!.data[row * channels + c])
      }
    }
  }
  if (cases === 0) throw new UserError('There is no case to take the mean and standard deviation of.')
  const { offset, scale } = inputNormalization(index.dtype, [0], [1])
  const means = Array.from(sum, (value) => value / pixels)
  return {
    mean: means.map((mean) => (mean + offset) * scale),
    std: means.map((mean, c) => Math.sqrt(Math.max(0, square[c]! / pixels - mean * mean)) * scale),
  }
}

const pixelsOf = (spec: PreprocessSpec) => (spec.kind === 'image' ? spec.size[0] * spec.size[1] : 0)

/** A file of sums after its checksum: a flipped bit would make a mean of anything, and nobody would notice. */
async function readSums(dir: string, name: string): Promise<Record<string, Tensor>> {
  const path = join(dir, shardFiles(name).sums)
  const bytes = await readBytes(path)
  if (sha256(bytes) !== (await readReport(dir, name))?.shard?.sums_sha256)
    throw new UserError(
      `This file is damaged: its SHA-256 is not the one in ${shardFiles(name).report}.\n  at: ${path}\n` +
        '  do: run "fiducial prepare --verify" on the recipe; it makes damaged shards again and leaves the others.',
    )
  return readSafetensors(bytes, path)
}

/**
 * The network's first node, as `prepare.normalize` asks.
 *
 * @param training statistics of the training split, needed for `dataset` alone
 */
export async function normalizationOf(
  normalize: ImagePrepare['normalize'],
  spec: ImageSpec,
  training: () => Promise<Statistics>,
): Promise<InputNormalization> {
  const { channels, channel_order: order, dtype } = spec
  if (normalize === 'imagenet') return imagenetNormalization(dtype, channels, order)
  if (normalize === 'none') return inputNormalization(dtype, Array(channels).fill(0), Array(channels).fill(1))
  if (normalize === 'dataset') {
    const { mean, std } = await training()
    return inputNormalization(dtype, mean, std)
  }
  if (normalize.mean.length !== channels || normalize.std.length !== channels)
    throw new UserError(
      `prepare.normalize names ${normalize.mean.length} means and ${normalize.std.length} standard deviations ` +
        `for ${channels} channel${channels === 1 ? '' : 's'}; give one of each a channel, in 0..1.`,
    )
  return inputNormalization(dtype, normalize.mean, normalize.std)
}

/**
 * The same of volumes. What is a z-score in each case is left as it is; a window, which is the same for all, leaves mean
 * and spread to the training split.
 */
export async function volumeNormalization(
  normalize: VolumePrepare['normalize'],
  { channels, dtype, intensity }: VolumeSpec,
  training: () => Promise<Statistics>,
): Promise<InputNormalization> {
  const mean = Array<number>(channels).fill(0)
  const std = Array<number>(channels).fill(1)
  const isTaken = intensity.map(({ kind }) =>
    normalize === 'auto' ? kind === 'window' || kind === 'none' : normalize === 'dataset',
  )
  if (isTaken.some(Boolean)) {
    const found = await training()
    for (const [c, taken] of isTaken.entries()) if (taken) [mean[c], std[c]] = [found.mean[c]!, found.std[c]!]
  }
  return inputNormalization(dtype, mean, std)
}
