import { join } from 'node:path'
import { z } from 'zod'
import type { Grid } from '../imaging/geometry/grid.ts'
import { maskOnGrid } from '../imaging/mask_grid.ts'
import { unitOf } from '../imaging/preprocess_volume.ts'
import { readVolume } from '../imaging/read_volume.ts'
import type { Volume } from '../imaging/volume.ts'
import { caseSha256 } from '../prepare/case_sources.ts'
import { nameOf } from '../prepare/shard_set.ts'
import { readSourceMap } from '../prepare/source_map.ts'
import { readLines, readShardCases } from '../prepare/staging.ts'
import { runEngine } from '../python/engine.ts'
import type { SegmentRun } from '../runs/kinds.ts'
import { Attributes, type SplitPart } from '../schema/case.ts'
import { UserError } from '../schema/errors.ts'
import type { VolumeShardCase } from '../schema/shard_set.ts'
import { maskNames, readCaseMask } from '../sources/case_mask.ts'
import { readBytes, sha256 } from '../storage/local.ts'
import { readSafetensors } from '../storage/safetensors.ts'
import type { Io } from './io.ts'
import { keepVolumes } from './keep_volumes.ts'
import { indexOfRun } from './run_set.ts'

const CaseLine = z.object({
  row: z.int().min(0),
  case_id: z.string(),
  patient_id: z.string(),
  attributes: Attributes,
})

/** Of reference masks that stay in memory from pass to pass: thousands of the hippocampus, 30 of brain tumours. */
const KEPT_BYTES = 2 ** 28

/** A case of a part with what the engine gave for it. */
export interface PredictedCase {
  case_id: string
  patient_id: string
  attributes: Attributes
  /** The grid of its own files. */
  source: Grid & Pick<Volume, 'distance_unit'>
  /** [K, z, y, x] on the stored grid, of windows as they are or averaged over their mirrorings. */
  probabilities(which: 'plain' | 'mirrored'): Promise<Volume & { data: Float32Array }>
  /** Its reference mask, on the grid of its own files. */
  reference(): Promise<Volume>
  /** Its images. */
  image(): Promise<Volume>
}

/**
 * Has a checkpoint segment a part of the split into a folder of probabilities, and gives the cases one by one.
 *
 * @param mirror array axes; none leaves `mirrored` out
 * @throws {UserError} when the shard set or the case's own files are gone or changed
 */
export async function predictedPart(
  run: SegmentRun,
  part: SplitPart,
  folder: string,
  { mirror, checkpoint }: { mirror: readonly string[]; checkpoint: 'best' | 'latest' },
  io: Io,
): Promise<PredictedCase[]> {
  const { data } = run.config
  const index = await indexOfRun(run, 'volumes')
  const options = ['--run-dir', run.dir, '--checkpoint', checkpoint, '--part', part, '--out', folder]
  const mirroring = mirror.length > 0 ? ['--mirror', mirror.join(',')] : []
  await runEngine('predict', [...options, ...mirroring], { signal: io.signal, onLog: io.log })
  const sources = await readSourceMap(data.shard_set)
  const lines = (await readLines(join(folder, 'cases.jsonl'), CaseLine)) ?? []
  const keep = keepVolumes(KEPT_BYTES)
  const cases: PredictedCase[] = []
  for (const { row, ...about } of lines) {
    const stored = (
      await readShardCases(data.shard_set, nameOf(index.shards[row]!.file))
    )[0] as VolumeShardCase
    const files = async () => {
      const found = sources?.get(about.case_id)
      if (!found) throw gone(about.case_id, 'the shard set does not say where its files lie')
      return readFiles(found, stored)
    }
    let isChecked = false
    const source: PredictedCase['source'] = {
      shape: stored.source_shape,
      affine: stored.source_affine,
      ...unitOf(index.preprocess),
    }
    cases.push({
      ...about,
      source,
      probabilities: (which) => readProbabilities(folder, row, which, stored),
      reference: keep(async () => {
        // A mask is asked for in up to three passes; the images beside it are hashed in the first.
        if (!isChecked) await files()
        isChecked = true
        const { images, mask } = sources!.get(about.case_id)!
        if (mask === null) throw gone(about.case_id, 'it has no mask')
        const drawn = await readCaseMask(images, mask, maskNames(run.config.task.structures))
        return maskOnGrid(drawn, source)
      }),
      image: async () => (await readVolume((await files()).images)).volume,
    })
  }
  return cases
}

async function readProbabilities(
  folder: string,
  row: number,
  which: 'plain' | 'mirrored',
  { shape, affine }: VolumeShardCase,
): Promise<Volume & { data: Float32Array }> {
  const path = join(folder, `${String(row).padStart(6, '0')}.safetensors`)
  const tensor = (await readSafetensors(path))[which === 'plain' ? 'probabilities' : 'mirrored']
  if (!tensor) throw new Error(`the engine gave no ${which} probabilities in ${path}`)
  const [channels] = tensor.shape as [number]
  const data = tensor.data as Float32Array
  return { data, channels, shape: [shape[1], shape[2], shape[3]], affine }
}

/** @throws {UserError} when a file is gone, or is not what was prepared */
async function readFiles(
  { case_id, images, mask }: { case_id: string; images: string[]; mask: string | null },
  stored: VolumeShardCase,
): Promise<{ images: Uint8Array[]; mask: Uint8Array | null }> {
  const paths = mask === null ? images : [...images, mask]
  const bytes = await Promise.all(paths.map(readBytes)).catch((cause) => {
    throw gone(case_id, (cause as Error).message.split('\n')[0]!)
  })
  const found = caseSha256(bytes.map((one) => ({ sha256: sha256(one) })))
  if (found !== stored.sha256) throw gone(case_id, 'its files have changed since')
  return { images: bytes.slice(0, images.length), mask: mask === null ? null : bytes.at(-1)! }
}

function gone(caseId: string, why: string): UserError {
  return new UserError(
    `The files of ${caseId} are not where "prepare" read them: ${why}.\n` +
      '  do: restore them; or run "fiducial prepare" with the recipe again, which notes where they lie now.',
  )
}
