import { UserError } from '../schema/errors.ts'
import { PREPROCESS_CODE_VERSION } from '../schema/preprocess.ts'
import type { ShardReport, StagedSource, StagingPlan } from '../schema/staging.ts'
import { count } from '../sources/source_data.ts'
import { freeBytes } from '../storage/local.ts'
import type { PrepareRequest } from './request.ts'
import { planShards, shardName } from './shard_layout.ts'
import type { ShardJob } from './shard_writer.ts'
import { finishedShard, readPlan, writePlan } from './staging.ts'
import { makeShards } from './worker_pool.ts'

/** What of a staging plan is resolved from a sample of the files. */
export type SampledPlan = Pick<
  StagingPlan,
  'preprocess' | 'case_bytes' | 'mask_values' | 'mask_labels' | 'brick' | 'deidentified'
> & {
  /** What `auto` in the recipe became and why, a line each. */
  reasons: string[]
}

/**
 * What the shards in a staging folder are made with: as already begun there, or resolved from a sample of the images.
 *
 * @throws {UserError} when the folder holds unfinished work for another set
 */
export async function plannedSpec(
  staging: string,
  stagingKey: string,
  resolve: () => Promise<SampledPlan>,
  log: (line: string) => void,
): Promise<StagingPlan> {
  const begun = await readPlan(staging)
  if (begun === null) {
    const { reasons, ...resolved } = await resolve()
    for (const reason of reasons) log(`auto: ${reason}`)
    const plan: StagingPlan = {
      format: 1,
      staging_key: stagingKey,
      ...resolved,
      code_version: PREPROCESS_CODE_VERSION,
    }
    await writePlan(staging, plan)
    return plan
  }
  if (begun.staging_key !== stagingKey)
    throw new UserError(
      `This folder holds the unfinished work of another recipe or another list of cases.\n  in: ${staging}\n` +
        '  do: choose another --out, or delete that folder.',
    )
  return begun
}

/** Every shard of a new set, with the cases that it is made of. */
export function planJobs(
  cases: PrepareRequest['cases'],
  prepare: PrepareRequest['prepare'],
  { case_bytes }: Pick<StagingPlan, 'case_bytes'>,
  firstShard = 0,
): ShardJob[] {
  const ranges =
    prepare.kind === 'volume'
      ? cases.map((_, start) => ({ start, end: start + 1 }))
      : planShards(cases.length, case_bytes, prepare.shard_mb * 1e6)
  return ranges.map(({ start, end }, k) => ({
    name: shardName(firstShard + k),
    cases: cases.slice(start, end).map(jobCase),
  }))
}

export const jobCase = ({
  case_id,
  images,
  mask,
}: PrepareRequest['cases'][number]): ShardJob['cases'][number] => ({
  case_id,
  images,
  ...(mask === undefined ? {} : { mask }),
})

export interface FinishedShard {
  report: ShardReport
  sources: StagedSource[]
}

export interface MakeOptions {
  staging: string
  root: string
  plan: StagingPlan
  workers: number
  signal: AbortSignal
  log(line: string): void
}

/**
 * Makes the shards that are not finished yet.
 *
 * @returns the largest resident memory of a worker, in bytes; 0 when nothing was left to do
 */
export async function makeMissing(jobs: readonly ShardJob[], options: MakeOptions): Promise<number> {
  const { staging, root, plan, log } = options
  const missing: ShardJob[] = []
  for (const job of jobs)
    if ((await finishedShard(staging, job, root, { retryUnread: true })) === null) missing.push(job)
  const total = missing.reduce((sum, job) => sum + job.cases.length, 0)
  if (missing.length < jobs.length)
    log(`Going on: ${jobs.length - missing.length} of ${count(jobs.length, 'shard')} are finished already.`)
  if (missing.length === 0) return 0
  await checkSpace(staging, total * plan.case_bytes)

  const progress = progressLines(total, log)
  return makeShards(missing, {
    folder: staging,
    root,
    plan,
    workers: options.workers,
    signal: options.signal,
    onProgress: progress,
  })
}

/** Reports and sources of finished shards, in order; null where a shard is missing. */
export async function readFinished(
  staging: string,
  jobs: readonly ShardJob[],
  root: string,
): Promise<(FinishedShard | null)[]> {
  const finished: (FinishedShard | null)[] = []
  for (const job of jobs) finished.push(await finishedShard(staging, job, root, { retryUnread: false }))
  return finished
}

async function checkSpace(folder: string, needed: number): Promise<void> {
  const free = await freeBytes(folder)
  if (free === null || free >= needed) return
  throw new UserError(
    `The shards still to be made take ${megabytes(needed)}; ${megabytes(free)} are free.\n  in: ${folder}\n` +
      '  do: free some space, or choose another disk with --out, and run the same command again.',
  )
}

/** A line every few seconds, and none for work that takes less. */
function progressLines(total: number, log: (line: string) => void): (cases: number) => void {
  const everyMs = 3000
  const start = performance.now()
  let last = start
  let done = 0
  return (cases) => {
    done += cases
    const now = performance.now()
    if (now - last < everyMs) return
    last = now
    const rate = done / ((now - start) / 1000)
    log(
      `${done} of ${count(total, 'case')}, ${rate.toFixed(rate < 10 ? 1 : 0)} a second, ` +
        `${Math.ceil((total - done) / rate)} s left`,
    )
  }
}

export function megabytes(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.max(0.1, bytes / 1e6).toFixed(1)} MB`
}
