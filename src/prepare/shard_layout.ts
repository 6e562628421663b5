import { createHash } from 'node:crypto'

/**
 * Cases in the order in which a set stores them: by the hash of the case id. Sources often list one class after the
 * other; in this order every shard is a fair sample of the set, and reordering the source changes nothing.
 */
export function orderCases<T extends { case_id: string }>(cases: readonly T[]): T[] {
  return cases
    .map((one) => ({ one, key: createHash('sha256').update(one.case_id).digest('hex') }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(({ one }) => one)
}

/** A run of the ordered cases, `start` included and `end` not. */
export interface ShardRange {
  start: number
  end: number
}

// Small sets are cut finer than `shard_mb` asks, so that several workers and sampling streams have a share.
const FEWEST_CASES = 64
const FINEST_CUT = 32

/**
 * Which ordered cases go to which shard: as even as can be, none above `shardBytes`. Defined before any file is read,
 * so neither quarantined cases nor the number of workers move a case to another shard.
 *
 * @param sampleBytes of one stored sample
 */
export function planShards(numCases: number, sampleBytes: number, shardBytes: number): ShardRange[] {
  const perShard = mostCasesPerShard(sampleBytes, shardBytes)
  const finer = Math.min(FINEST_CUT, Math.max(1, Math.floor(numCases / FEWEST_CASES)))
  const numShards = Math.min(numCases, Math.max(Math.ceil(numCases / perShard), finer))
  return Array.from({ length: numShards }, (_, k) => ({
    start: Math.floor((k * numCases) / numShards),
    end: Math.floor(((k + 1) * numCases) / numShards),
  }))
}

export function mostCasesPerShard(sampleBytes: number, shardBytes: number): number {
  return Math.max(1, Math.floor(shardBytes / sampleBytes))
}

/** '00017' */
export function shardName(index: number): string {
  return String(index).padStart(5, '0')
}

/** Paths of a shard's files, relative to its set. */
export function shardFiles(name: string) {
  return {
    tensors: `shards/${name}.safetensors`,
    cases: `shards/${name}.cases.jsonl`,
    sums: `shards/${name}.sums.safetensors`,
    report: `shards/${name}.report.json`,
  }
}
