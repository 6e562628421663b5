import { join } from 'node:path'
import type { StoredVoxels } from '../imaging/store_volume.ts'
import { nameOf } from '../prepare/shard_set.ts'
import { readLines, readShardCases } from '../prepare/staging.ts'
import { readStoredVolume } from '../prepare/stored_volume.ts'
import { RUN_FILES } from '../runs/folder.ts'
import type { SegmentRun } from '../runs/kinds.ts'
import { SegmentPrediction } from '../schema/prediction.ts'
import { PART_CODES, type VolumeShardCase } from '../schema/shard_set.ts'
import { readBytes } from '../storage/local.ts'
import { readSafetensors } from '../storage/safetensors.ts'
import type { ImagesOfCase } from './case_images.ts'
import { indexOfRun } from './run_set.ts'

/** A validation case of a run, as it is stored and as it lies in the data set. */
export interface ValidationVolume {
  /** [C, Z, Y, X] */
  data: StoredVoxels
  shape: [number, number, number, number]
  /** Bytes of its images. */
  read(): Promise<Uint8Array[]>
  /** What validation wrote of it, relative to the run's predictions; null where it was not evaluated. */
  mask: string | null
}

/**
 * The smallest validation cases of a run, those of one size in shard order: what is checked is the path, not the size.
 *
 * @throws {UserError} when the shard set is gone, or a case's files are not to be found
 */
export async function validationVolumes(
  run: SegmentRun,
  most: number,
  imagesOf: ImagesOfCase,
): Promise<ValidationVolume[]> {
  const { data } = run.config
  const index = await indexOfRun(run, 'volumes')
  const split = join(data.shard_set, 'tables', `split-${data.split_id.slice(0, 12)}`, 'split.safetensors')
  const part = (await readSafetensors(split)).part!.data
  const predicted = await readLines(join(run.dir, RUN_FILES.predictions, 'val.jsonl'), SegmentPrediction)
  const masks = new Map(predicted?.map((line) => [line.case_id, line.mask]))
  const chosen = index.shards
    .filter((_, row) => part[row] === PART_CODES.val)
    .sort((a, b) => a.bytes - b.bytes)
    .slice(0, most)
  const found: ValidationVolume[] = []
  for (const { file } of chosen) {
    const stored = (await readShardCases(data.shard_set, nameOf(file)))[0] as VolumeShardCase
    const paths = await imagesOf(stored.case_id)
    const { data: voxels, shape } = await readStoredVolume(join(data.shard_set, file), index)
    found.push({
      data: voxels,
      shape,
      read: () => Promise.all(paths.map(readBytes)),
      mask: masks.get(stored.case_id) ?? null,
    })
  }
  return found
}
