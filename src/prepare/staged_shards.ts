import { join } from 'node:path'
import { resolveSpec } from '../imaging/resolve_spec.ts'
import { UserError } from '../schema/errors.ts'
import { PREPROCESS_CODE_VERSION } from '../schema/preprocess.ts'
import type { ShardReport, StagedSource, StagingPlan } from '../schema/staging.ts'
import { count } from '../sources/source_data.ts'
import { freeBytes, readBytes } from '../storage/local.ts'
import type { PrepareRequest } from './request.ts'
import { planShards, shardName } from './shard_layout.ts'
import type { ShardJob } from './shard_writer.ts'
import { finishedShard, readPlan, writePlan } from './staging.ts'
import { makeShards } from './worker_pool.ts'

/** Images looked at to resolve `auto` in the recipe. */
const SAMPLE_SIZE = 64

/**
 * What the shards in a staging folder are made with: as already begun there, or resolved from a sample of the images.
 *
 * @throws {UserError} when the folder holds unfinished work for another set
 */
export async function plannedSpec(
  staging: string,
  stagingKey: string,
  resolve: () => Promise<StagingPlan['preprocess']>,
): Promise<StagingPlan> {
  const begun = await readPlan(staging)
  if (begun === null) {
    const plan: StagingPlan = {
      format: 1,
      staging_key: stagingKey,
      preprocess: await resolve(),
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

/** The recipe's preprocess spec, `auto` resolved over an even sample of the images. */
export async function sampledSpec(request: PrepareRequest): Promise<StagingPlan['preprocess']> {
  const { cases, root, prepare } = request
  const step = Math.max(1, cases.length / SAMPLE_SIZE)
  async function* sample() {
    for (let at = 0; at < cases.length; at += step) {
      try {
        yield await readBytes(join(root, cases[Math.floor(at)]!.images[0]!))
      } catch (error) {
        if (!(error instanceof UserError)) throw error // a missing file is quarantined when its turn comes
      }
    }
  }
  return resolveSpec(prepare, sample())
}

/** Every shard of a new set, with the cases that it is made of. */
export function planJobs(
  cases: PrepareRequest['cases'],
  prepare: PrepareRequest['prepare'],
  spec: StagingPlan['preprocess'],
  firstShard = 0,
): ShardJob[] {
  return planShards(cases.length, bytesPerSample(spec), prepare.shard_mb * 1e6).map(({ start, end }, k) => ({
    name: shardName(firstShard + k),
    cases: cases.slice(start, end).map(jobCase),
  }))
}

export const jobCase = (one: PrepareRequest['cases'][number]) => ({
  case_id: one.case_id,
  file: one.images[0]!,
})

export function bytesPerSample({ channels, size, dtype }: StagingPlan['preprocess']): number {
  return channels * size[0] * size[1] * (dtype === 'int16' ? 2 : 1)
}

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
  await checkSpace(staging, total * bytesPerSample(plan.preprocess))

  const progress = progressLines(total, log)
  return makeShards(missing, {
    folder: staging,
    root,
    spec: plan.preprocess,
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
