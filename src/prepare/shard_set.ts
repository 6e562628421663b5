import { join } from 'node:path'
import { UserError } from '../schema/errors.ts'
import { parse } from '../schema/parse.ts'
import { Fingerprint, ShardIndex } from '../schema/shard_set.ts'
import { PrepareReport } from '../schema/staging.ts'
import { readTextIfExists } from '../storage/local.ts'
import type { CaseHash } from './identity.ts'
import { readShardCases } from './staging.ts'

/** The index of a whole shard set, or null when the folder holds none. */
export async function readIndex(dir: string): Promise<ShardIndex | null> {
  const path = join(dir, 'index.json')
  const text = await readTextIfExists(path)
  return text === null ? null : parse(ShardIndex, parseJson(text, path), path)
}

/** How a whole shard set came about, or null when the folder holds none. */
export async function readPrepareReport(dir: string): Promise<PrepareReport | null> {
  const path = join(dir, 'report.json')
  const text = await readTextIfExists(path)
  return text === null ? null : parse(PrepareReport, parseJson(text, path), path)
}

/** What the stored data of a whole set look like. */
export async function readFingerprint(dir: string): Promise<Fingerprint> {
  const path = join(dir, 'fingerprint.json')
  const text = await readTextIfExists(path)
  if (text === null)
    throw new UserError(`${path} is missing.\n  do: delete this folder and run "fiducial prepare" again.`)
  return parse(Fingerprint, parseJson(text, path), path)
}

/** Name of a shard from its file: 'shards/00017.safetensors' is '00017'. */
export function nameOf(file: string): string {
  return file.slice(file.lastIndexOf('/') + 1, -'.safetensors'.length)
}

export interface StoredCase extends CaseHash {
  sha256: string
  /** [C, H, W] or [C, Z, Y, X] */
  shape: readonly number[]
  /** Mask value → voxels; null without a mask. */
  mask_voxels: Readonly<Record<string, number>> | null
}

/** Every stored case in shard order: shard by shard, row by row. */
export async function storedCases(dir: string, index: Pick<ShardIndex, 'shards'>): Promise<StoredCase[]> {
  const cases: StoredCase[] = []
  for (const shard of index.shards) {
    const rows = await readShardCases(dir, nameOf(shard.file))
    if (rows.length !== shard.num_cases)
      throw new UserError(
        `${nameOf(shard.file)}.cases.jsonl lists ${rows.length} cases; index.json says ${shard.num_cases}.\n` +
          `  in: ${dir}\n  do: delete this folder and run "fiducial prepare" again.`,
      )
    for (const { case_id, sha256, shape, ...row } of rows)
      cases.push({ case_id, sha256, shape, mask_voxels: 'mask_voxels' in row ? row.mask_voxels : null })
  }
  return cases
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new UserError(
      `This file is not JSON.\n  at: ${path}\n  do: delete its folder and run "fiducial prepare" again.`,
      { cause },
    )
  }
}
