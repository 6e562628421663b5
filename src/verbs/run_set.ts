import { readIndex } from '../prepare/shard_set.ts'
import type { RunRecord } from '../runs/read.ts'
import { UserError } from '../schema/errors.ts'
import type { ShardIndex } from '../schema/shard_set.ts'

/**
 * The index of the shard set that a run was trained on.
 *
 * @throws {UserError} when the set is gone, or another one lies there now
 */
export async function indexOfRun<K extends ShardIndex['kind']>(
  { dir, config: { data } }: RunRecord,
  kind: K,
): Promise<Extract<ShardIndex, { kind: K }>> {
  const index = await readIndex(data.shard_set)
  if (index !== null && index.kind === kind && index.set_id === data.set_id)
    return index as Extract<ShardIndex, { kind: K }>
  throw new UserError(
    `The shard set of ${dir} is ${index === null ? 'gone' : 'another one now'}.\n` +
      `  expected: ${data.set_id.slice(0, 12)} in ${data.shard_set}\n` +
      '  do: run "fiducial prepare" with the recipe of the run again; the same data gives the same set.',
  )
}
