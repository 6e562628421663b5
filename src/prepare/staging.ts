import { join } from 'node:path'
import { UserError } from '../schema/errors.ts'
import { parse } from '../schema/parse.ts'
import { ShardCase } from '../schema/shard_set.ts'
import { ShardReport, StagedSource, StagingPlan } from '../schema/staging.ts'
import { readTextIfExists, sha256File, stampFile, writeAtomic } from '../storage/local.ts'
import { caseFiles } from './case_sources.ts'
import { shardFiles } from './shard_layout.ts'
import type { ShardJob } from './shard_writer.ts'

/** The plan of unfinished work, or null when nothing has been started there. */
export async function readPlan(folder: string): Promise<StagingPlan | null> {
  const path = join(folder, 'plan.json')
  const text = await readTextIfExists(path)
  return text === null ? null : parse(StagingPlan, JSON.parse(text), path)
}

export async function writePlan(folder: string, plan: StagingPlan): Promise<void> {
  await writeAtomic(join(folder, 'plan.json'), `${JSON.stringify(plan, null, 2)}\n`)
}

/** The set that is being made, and the folder of what only its making needs. */
export const stagedSet = (staging: string) => join(staging, 'set')

/**
 * A finished shard of an interrupted run, or null when it must be made again: a file is missing or torn, or a source
 * changed since.
 *
 * @param options `retryUnread`: a source that is there and could not be read, say on a failing network drive, is to be
 *   tried again
 */
export async function finishedShard(
  staging: string,
  job: ShardJob,
  root: string,
  options: { retryUnread: boolean },
): Promise<{ report: ShardReport; sources: StagedSource[] } | null> {
  const report = await readReport(stagedSet(staging), job.name)
  const sources = await readStagedSources(staging, job.name)
  if (report === null || sources === null || sources.length !== job.cases.length) return null
  for (const [i, one] of job.cases.entries()) {
    const source = sources[i]!
    const paths = caseFiles(one)
    if (source.case_id !== one.case_id || source.files.length !== paths.length) return null
    for (const [k, file] of source.files.entries()) {
      if (file.path !== paths[k]) return null
      const stamp = await stampFile(join(root, file.path))
      if (stamp?.size !== file.stamp?.size || stamp?.mtime_ns !== file.stamp?.mtime_ns) return null
      if (options.retryUnread && file.sha256 === null && stamp !== null) return null
    }
  }
  return (await isWhole(stagedSet(staging), job.name, report)) ? { report, sources } : null
}

/** The report of a shard, or null when the shard is not whole. */
export async function readReport(dir: string, name: string): Promise<ShardReport | null> {
  const text = await readTextIfExists(join(dir, shardFiles(name).report))
  if (text === null) return null
  try {
    return ShardReport.parse(JSON.parse(text))
  } catch {
    return null
  }
}

/** The rows of a shard, in order. */
export async function readShardCases(dir: string, name: string): Promise<ShardCase[]> {
  return (await readLines(join(dir, shardFiles(name).cases), ShardCase)) ?? []
}

/**
 * Values of a .jsonl file, or null when it does not exist.
 *
 * @param advice what to do about a damaged file
 * @throws {UserError} naming the file and the line that is not what `schema` says
 */
export async function readLines<T>(
  path: string,
  schema: { parse(value: unknown): T },
  advice = 'delete the folder and run "fiducial prepare" again.',
): Promise<T[] | null> {
  const text = await readTextIfExists(path)
  if (text === null) return null
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line, i) => {
      try {
        return schema.parse(JSON.parse(line))
      } catch (cause) {
        throw new UserError(
          `Line ${i + 1} is not what this file should hold.\n  in: ${path}\n  do: ${advice}`,
          { cause },
        )
      }
    })
}

async function readStagedSources(staging: string, name: string): Promise<StagedSource[] | null> {
  try {
    return await readLines(join(staging, `private/${name}.sources.jsonl`), StagedSource)
  } catch {
    return null
  }
}

/** Pixels by their size; the small files beside them, from which statistics are taken, by every byte. */
async function isWhole(dir: string, name: string, { shard }: ShardReport): Promise<boolean> {
  if (shard === null) return true
  const { tensors, cases, sums } = shardFiles(name)
  if ((await stampFile(join(dir, tensors)))?.size !== shard.bytes) return false
  for (const [file, digest] of [
    [cases, shard.cases_sha256],
    [sums, shard.sums_sha256],
  ] as const)
    if ((await stampFile(join(dir, file))) === null || (await sha256File(join(dir, file))) !== digest)
      return false
  return true
}
