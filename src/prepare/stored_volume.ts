import { join } from 'node:path'
import { STORED_ARRAYS, type StoredVoxels } from '../imaging/store_volume.ts'
import { UserError } from '../schema/errors.ts'
import type { ShardIndex, VolumeShardIndex } from '../schema/shard_set.ts'
import { type Dtype, readRows, readSafetensors, type Tensor } from '../storage/safetensors.ts'
import { storedValues } from '../storage/stored_values.ts'
import { inflateBricks } from './bricks.ts'

/** Stored values of a case of either kind, by where its set has them. */
export async function readStoredCase(
  dir: string,
  index: ShardIndex,
  { file, row }: { file: string; row: number },
): Promise<StoredVoxels> {
  const path = join(dir, file)
  if (index.kind === 'volumes') return (await readStoredVolume(path, index)).data
  return storedValues((await readRows(path, 'image', row, 1)).data)!
}

/**
 * The image of a volume's shard as preprocessing gave it.
 *
 * @param path of its safetensors file
 * @throws {UserError} when the file does not hold it
 */
export async function readStoredVolume(
  path: string,
  { dtype, brick }: Pick<VolumeShardIndex, 'dtype' | 'brick'>,
): Promise<{ data: StoredVoxels; shape: [number, number, number, number] }> {
  const tensors = await readSafetensors(path)
  const tensor = (name: string): Tensor => {
    const found = tensors[name]
    if (found) return found
    throw new UserError(
      `There is no tensor "${name}".\n  in: ${path}\n  do: run "fiducial prepare --verify" on the recipe; it makes damaged shards again.`,
    )
  }
  if (brick === null) {
    const { data, shape } = tensor('image')
    return { data: storedValues(data)!, shape: shape as [number, number, number, number] }
  }
  const shape = [...(tensor('image_shape').data as BigInt64Array)].map(Number) as [
    number,
    number,
    number,
    number,
  ]
  const out = new STORED_ARRAYS[dtype](shape.reduce((a, b) => a * b, 1))
  const bricks = {
    bytes: tensor('image_bricks').data as Uint8Array,
    ends: tensor('image_ends').data as BigInt64Array,
  }
  return { data: await inflateBricks(bricks, shape, brick, out), shape }
}

/** As safetensors names the stored types. */
export const STORED_DTYPES = {
  uint8: 'U8',
  int16: 'I16',
  float16: 'F16',
  float32: 'F32',
} as const satisfies Record<VolumeShardIndex['dtype'], Dtype>
