import { join } from 'node:path'
import type { StagedSource } from '../schema/staging.ts'
import { count } from '../sources/source_data.ts'
import { linkOrCopy, makeFolder, stampFile } from '../storage/local.ts'
import { caseSha256, hashUnknownCases, lookUpCases } from './case_sources.ts'
import { type FoundSet, findSet, listSets } from './find_set.ts'
import { lockFolder } from './folder_lock.ts'
import { configId, stagingKey } from './identity.ts'
import { keepSplits } from './kept_split.ts'
import { finishSet, type Making } from './make_set.ts'
import { setPlace } from './place.ts'
import { publish } from './publish.ts'
import type { PrepareRequest } from './request.ts'
import { samplePlan } from './sample_plan.ts'
import { mostCasesPerShard, shardFiles, shardName } from './shard_layout.ts'
import { nameOf, readIndex } from './shard_set.ts'
import type { ShardJob } from './shard_writer.ts'
import type { SourceHashes } from './source_hashes.ts'
import {
  type FinishedShard,
  jobCase,
  makeMissing,
  planJobs,
  plannedSpec,
  readFinished,
} from './staged_shards.ts'
import { readReport, readShardCases, stagedSet } from './staging.ts'
import { type BaseShard, planUpdate, type UpdatePlan } from './update_plan.ts'

/**
 * Makes the set of data that grew or changed since an earlier one: untouched shards are linked, not made; patients
 * stay in the part or fold that they were in.
 *
 * @param found the set that has these very pixels, if there is one: then only its splits are kept
 * @returns the folder of the set, or null when there is no earlier set to start from
 */
export async function updateSet(making: Making, found: FoundSet | null = null): Promise<string | null> {
  if (found !== null) {
    await keepSplits(found.dir, found.dir)
    return found.dir
  }
  for (;;) {
    const base = await findBase(making)
    if (base === null) {
      making.log('There is no earlier set of these cases to update; a new one is made.')
      return null
    }
    const dir = await updateFrom(base, making)
    if (dir !== null) return dir
  }
}

/** Null when what an earlier update had nearly finished was published, and is what to start from now. */
async function updateFrom(base: Base, making: Making): Promise<string | null> {
  const { request, log } = making
  const key = stagingKey(request.prepare, request.cases, base.set.report.set_id)
  const place = setPlace(
    making.place.out === null ? { prepared: making.place.parent } : { out: making.place.out },
    key,
  )
  await using _lock = await lockFolder(place.locks, 'all', () => true)
  const updating = { ...making, place, stagingKey: key }
  if ((await publish(place)) !== null)
    return (await findSet(request, place, making.hashes, making.signal))?.dir ?? null

  const { staging } = place
  const { hasSamePixels } = base
  const index = (await readIndex(base.set.dir))!
  const plan = await plannedSpec(
    staging,
    key,
    () => samplePlan(request, hasSamePixels ? index.preprocess : null),
    log,
  )
  const sources = await hashesNow(request, base.shards, making.hashes, making.signal)
  const known = request.cases.map(({ case_id }, i) => ({ case_id, sha256: caseSha256(sources[i]!.files) }))
  const update = planUpdate(
    hasSamePixels ? base.shards : [],
    known,
    request.prepare.kind === 'volume'
      ? 1
      : mostCasesPerShard(plan.case_bytes, request.prepare.shard_mb * 1e6),
  )
  const planned = planShards(update, base.shards, request, plan)
  const jobs = planned.flatMap(({ job }) => (job === null ? [] : [job]))
  log(
    `Updating ${base.set.dir}: ${count(update.added, 'case')} added, ${update.changed} changed, ${update.withdrawn} withdrawn; ` +
      `${jobs.length} of ${count(planned.length, 'shard')} to make.`,
  )
  await makeMissing(jobs, { ...updating, staging, root: request.root, plan })

  const made = new Map(
    (await readFinished(staging, jobs, request.root)).map((one, i) => [jobs[i]!.name, one]),
  )
  const sourceOf = new Map(sources.map((one) => [one.case_id, one]))
  const finished: FinishedShard[] = []
  for (const { name, job } of planned) {
    const one = job === null ? await keepShard(name, base, staging, sourceOf) : made.get(name)
    if (!one) throw new Error(`shard ${name} is not there after it was made in ${staging}`)
    finished.push(one)
  }
  await keepSplits(base.set.dir, stagedSet(staging))
  return finishSet(updating, plan, finished, base.set.report.set_id)
}

/** Warns that a set of nearly the same cases is there: a new one is split anew, so patients change parts. */
export async function mentionUpdate(making: Making): Promise<void> {
  if (making.place.out !== null) return
  const base = await findBase(making)
  if (base === null || !base.hasSamePixels || base.shared < making.request.cases.length / 2) return
  const total = making.request.cases.length
  const isSame = base.shared === total && base.set.report.cases === total
  making.log(
    `note: ${base.set.dir} holds ${base.shared} of these ${count(total, 'case')}${isSame ? ', made of files that have changed since, or its report.json is damaged' : ''}. ` +
      'This makes a new set, split anew; "fiducial prepare --update" keeps its shards and leaves every patient in its part.',
  )
}

interface Base {
  set: FoundSet
  shards: BaseShard[]
  /** Cases asked for that it has. */
  shared: number
  /** Made as the recipe asks: its shards can be kept, and not only its split. */
  hasSamePixels: boolean
}

/** The set that shares the most cases with the request, one of the same pixels rather than one of others. */
async function findBase({ request, place }: Making): Promise<Base | null> {
  const asked = new Set(request.cases.map((one) => one.case_id))
  const config = configId(request.prepare)
  const bases = []
  for (const set of await listSets(place)) {
    const shards: BaseShard[] = []
    for (const { file } of (await readIndex(set.dir))!.shards)
      shards.push({ name: nameOf(file), cases: await readShardCases(set.dir, nameOf(file)) })
    const shared = shards.flatMap((shard) => shard.cases).filter((one) => asked.has(one.case_id)).length
    const written = BigInt((await stampFile(join(set.dir, 'index.json')))!.mtime_ns)
    if (shared > 0)
      bases.push({ set, shards, shared, written, hasSamePixels: set.report.config_id === config })
  }
  const most = Math.max(...bases.map(({ shared }) => shared))
  const isClose = (one: Base) => one.hasSamePixels && one.shared * 2 >= most
  bases.sort(
    (a, b) =>
      Number(isClose(b)) - Number(isClose(a)) || b.shared - a.shared || (b.written > a.written ? 1 : -1),
  )
  return bases[0] ?? null
}

/** Files of stored cases whose stamp changed are read; those of new cases are not, they will be decoded anyway. */
async function hashesNow(
  request: PrepareRequest,
  shards: readonly BaseShard[],
  hashes: SourceHashes,
  signal: AbortSignal,
): Promise<StagedSource[]> {
  const stored = new Set(shards.flatMap((shard) => shard.cases.map((one) => one.case_id)))
  const sources = await lookUpCases(hashes, request.cases, request.root)
  const asked = [...sources.keys()].filter((i) => stored.has(request.cases[i]!.case_id))
  const read = await hashUnknownCases(
    hashes,
    asked.map((i) => sources[i]!),
    request.root,
    signal,
  )
  for (const [at, i] of asked.entries()) sources[i] = read[at]!
  return sources
}

interface PlannedShard {
  name: string
  /** null: the shard of the earlier set. */
  job: ShardJob | null
}

/** Shards made anew get names that the earlier set does not use, so both can lie in one folder. */
function planShards(
  update: UpdatePlan,
  base: readonly BaseShard[],
  request: PrepareRequest,
  plan: Parameters<typeof planJobs>[2],
): PlannedShard[] {
  const byId = new Map(request.cases.map((one) => [one.case_id, one]))
  let next = 1 + Math.max(...base.map((shard) => Number(shard.name)))
  const shards = update.shards.map(({ name, cases }): PlannedShard => {
    if (cases === null) return { name, job: null }
    const job = { name: shardName(next++), cases: cases.map((id) => jobCase(byId.get(id)!)) }
    return { name: job.name, job }
  })
  const appended = planJobs(
    update.appended.map((id) => byId.get(id)!),
    request.prepare,
    plan,
    next,
  )
  return [...shards, ...appended.map((job) => ({ name: job.name, job }))]
}

async function keepShard(
  name: string,
  base: Base,
  staging: string,
  sourceOf: ReadonlyMap<string, StagedSource>,
): Promise<FinishedShard> {
  const to = stagedSet(staging)
  await makeFolder(join(to, 'shards'))
  for (const file of Object.values(shardFiles(name)))
    await linkOrCopy(join(base.set.dir, file), join(to, file))
  const report = await readReport(to, name)
  if (report === null) throw new Error(`${shardFiles(name).report} in ${base.set.dir} cannot be read`)
  const { cases } = base.shards.find((shard) => shard.name === name)!
  // Cases that the earlier set could not read are tried again, in other shards.
  return { report: { ...report, quarantined: [] }, sources: cases.map((one) => sourceOf.get(one.case_id)!) }
}
