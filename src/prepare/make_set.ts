import { join } from 'node:path'
import { UserError } from '../schema/errors.ts'
import type { Quarantined } from '../schema/shard_set.ts'
import type { StagedSource, StagingPlan } from '../schema/staging.ts'
import { count } from '../sources/source_data.ts'
import { listFolder } from '../storage/local.ts'
import { caseSha256 } from './case_sources.ts'
import { findSet, passedOver, refuseForeignFolder } from './find_set.ts'
import { lockFolder, lockFolderInTurn } from './folder_lock.ts'
import { caseListId, configId, requestId } from './identity.ts'
import type { SetPlace } from './place.ts'
import { describeSet, publish, refuseTooManyQuarantined } from './publish.ts'
import { allowedQuarantined, type PrepareRequest } from './request.ts'
import { samplePlan } from './sample_plan.ts'
import type { ShardJob } from './shard_writer.ts'
import type { SourceHashes } from './source_hashes.ts'
import { type FinishedShard, makeMissing, planJobs, plannedSpec, readFinished } from './staged_shards.ts'

export interface Making {
  request: PrepareRequest
  place: SetPlace
  stagingKey: string
  hashes: SourceHashes
  workers: number
  /** `performance.now()` when the command began. */
  started: number
  log(line: string): void
  signal: AbortSignal
}

/** Share `index` (from 1) of `count`. */
export interface Slice {
  index: number
  count: number
}

/**
 * Makes a new set from the request's files and publishes it; what an earlier run finished is not made again.
 *
 * @param options `mergeOnly`: publish what slices have made, and make nothing
 * @returns the folder of the set
 */
export async function makeSet(making: Making, options: { mergeOnly: boolean }): Promise<string> {
  const { place, request, log } = making
  await refuseForeignFolder(place)
  await using _lock = await lockFolder(place.locks, 'all', () => true)
  const earlier = await publishEarlier(making)
  if (earlier !== null) return earlier
  await refuseTooManyQuarantined(place.staging, request.skipped, allowedQuarantined(request), true)
  for (const line of await passedOver(place)) log(`note: ${line}`)
  await mentionUnfinished(making)

  const { plan, jobs } = await begin(making)
  if (!options.mergeOnly) {
    log(`${count(request.cases.length, 'case')} in ${count(jobs.length, 'shard')}, below ${place.parent}`)
    await makeMissing(jobs, { ...making, staging: place.staging, root: request.root, plan })
  }
  const finished = await readFinished(place.staging, jobs, request.root)
  const missing = jobs.filter((_, i) => finished[i] === null)
  if (missing.length > 0) throw missingError(missing, jobs, place.staging)
  return finishSet(making, plan, finished as FinishedShard[])
}

export interface SliceOutcome {
  /** The folder of the set if this slice was the last, else null. */
  dir: string | null
  shards: number
  cases: number
  /** Shards of the whole set that no slice has made yet. */
  missing: number
}

/** A merge hashes no pixels: minutes for the largest sets. */
const MERGE_PATIENCE_MS = 10 * 60_000

/** Makes one slice's shards: every `count`-th. The slice that finds all shards finished publishes the set. */
export async function makeSlice(making: Making, slice: Slice): Promise<SliceOutcome> {
  const { place, request, log, signal } = making
  await refuseForeignFolder(place)
  const name = (index: number) => `slice-${index}-of-${slice.count}`
  await using _lock = await lockFolder(
    place.locks,
    name(slice.index),
    (other) => other === 'all' || (other.startsWith('slice-') && !other.endsWith(`-of-${slice.count}`)),
  )
  const { plan, jobs } = await begin(making)
  const mine = jobs.filter((_, k) => k % slice.count === slice.index - 1)
  const cases = mine.reduce((sum, job) => sum + job.cases.length, 0)
  log(
    `Slice ${slice.index} of ${slice.count}: ${count(cases, 'case')} in ${mine.length} of ${count(jobs.length, 'shard')}, below ${place.parent}`,
  )
  await makeMissing(mine, { ...making, staging: place.staging, root: request.root, plan })

  // Slices that end together merge one after the other.
  await using _merging =
    (await lockFolderInTurn(place.locks, 'merge', MERGE_PATIENCE_MS)) ??
    (await lockFolder(place.locks, 'merge'))
  const published = await findSet(request, place, making.hashes, signal)
  if (published !== null) return { dir: published.dir, shards: mine.length, cases, missing: 0 }
  const finished = await readFinished(place.staging, jobs, request.root)
  const missing = finished.filter((one) => one === null).length
  const dir = missing === 0 ? await finishSet(making, plan, finished as FinishedShard[]) : null
  return { dir, shards: mine.length, cases, missing }
}

/** A set that an earlier run had whole but was killed before publishing; null unless it answers this request. */
async function publishEarlier(making: Making): Promise<string | null> {
  const { place, request, hashes, signal } = making
  if ((await publish(place)) === null) return null
  const found = await findSet(request, place, hashes, signal)
  if (found === null) await refuseForeignFolder(place)
  return found?.dir ?? null
}

/** Remembers the sources, describes the set and publishes it. */
export async function finishSet(
  making: Making,
  plan: StagingPlan,
  finished: readonly FinishedShard[],
  updatedFrom: string | null = null,
): Promise<string> {
  const { request, place, hashes } = making
  const sources = finished.flatMap((one) => one.sources)
  for (const { path, stamp, sha256 } of sources.flatMap((one) => one.files))
    if (stamp !== null && sha256 !== null) hashes.remember(join(request.root, path), stamp, sha256)
  await hashes.save()

  const hashOf = new Map(sources.map((one: StagedSource) => [one.case_id, caseSha256(one.files)]))
  const known = request.cases.map(({ case_id }) => ({ case_id, sha256: hashOf.get(case_id) ?? null }))
  const quarantined: Quarantined[] = [
    ...request.skipped,
    ...finished.flatMap((one) => one.report.quarantined),
  ]
  await describeSet(
    place.staging,
    finished.map((one) => one.report),
    {
      spec: plan,
      quarantined,
      allowed: allowedQuarantined(request),
      report: {
        request_ids: [requestId(request.prepare, known)],
        config_id: configId(request.prepare),
        case_list_id: caseListId(request.cases),
        updated_from: updatedFrom,
        seconds: (performance.now() - making.started) / 1000,
        workers: making.workers,
      },
    },
  )
  const dir = await publish(place)
  if (dir === null) throw new Error(`nothing to publish in ${place.staging}`)
  return dir
}

async function begin(making: Making): Promise<{ plan: StagingPlan; jobs: ShardJob[] }> {
  const { request, place, stagingKey } = making
  const plan = await plannedSpec(place.staging, stagingKey, () => samplePlan(request), making.log)
  return { plan, jobs: planJobs(request.cases, request.prepare, plan) }
}

/** Unfinished work of other recipes stays until someone deletes it; better said than found when the disk is full. */
async function mentionUnfinished({ place, log }: Making): Promise<void> {
  if (place.out !== null) return
  const others = (await listFolder(place.parent)).filter(
    (name) => name.startsWith('.staging-') && join(place.parent, name) !== place.staging,
  )
  if (others.length > 0)
    log(
      `note: ${place.parent} also holds unfinished work of other recipes (${others.join(', ')}); delete it if unwanted.`,
    )
}

function missingError(missing: readonly ShardJob[], jobs: readonly ShardJob[], staging: string): UserError {
  const names = missing.slice(0, 5).map((job) => job.name)
  return new UserError(
    `${missing.length} of ${count(jobs.length, 'shard')} ${missing.length === 1 ? 'is' : 'are'} not made yet (${names.join(', ')}${missing.length > 5 ? ', …' : ''}).\n` +
      `  in: ${staging}\n` +
      '  do: run the slices that are missing, or "fiducial prepare" without --slice, which makes the rest.',
  )
}
