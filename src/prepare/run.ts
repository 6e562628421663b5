import { join } from 'node:path'
import type { Case } from '../schema/case.ts'
import { StoppedError, UserError } from '../schema/errors.ts'
import type { Recipe } from '../schema/recipe.ts'
import type { PrepareResult } from '../schema/results.ts'
import { type LabelsTable, Quarantined, type ShardIndex, type SplitTable } from '../schema/shard_set.ts'
import type { StagedSource } from '../schema/staging.ts'
import { findSet, refuseForeignFolder } from './find_set.ts'
import { lockFolder } from './folder_lock.ts'
import { caseListId, configId, stagingKey } from './identity.ts'
import { describeLeaks, findLeaks, sameBytes } from './leaks.ts'
import { answeredRequest, makeMissing, planJobs, plannedSpec, readFinished, sampledSpec } from './make_set.ts'
import { type SetPlace, setPlace } from './place.ts'
import { describeSet, mostQuarantined, publish } from './publish.ts'
import { type PrepareRequest, readRequest } from './request.ts'
import { readIndex, storedCases } from './shard_set.ts'
import { SourceHashes } from './source_hashes.ts'
import { assignSplit } from './split.ts'
import { readLines } from './staging.ts'
import { normalizationOf, pixelStatistics } from './statistics.ts'
import { writeLabelsTable, writeSplitTable } from './tables.ts'

/** A whole shard set with the tables that a recipe asks for. */
export interface PreparedSet {
  /** Absolute. */
  dir: string
  index: ShardIndex
  labels: LabelsTable
  split: SplitTable
  result: PrepareResult
  /** Made by a generator; whatever shows numbers from it says so. */
  synthetic: boolean
  warnings: string[]
}

export interface PrepareOptions {
  /** Absolute path of the data root. */
  root: string
  /** The set's own folder; else one named by the set below `prepared`. */
  out?: string
  /** Folder of sets; `prepared/` in the working directory unless named. */
  prepared?: string
  workers: number
  log(line: string): void
  signal: AbortSignal
}

/**
 * The shard set and tables of a recipe: found if they are there, else made. A run that was killed at any point is
 * continued by the next; the bytes are the same for any number of workers.
 *
 * @throws {UserError} naming what to do; {AttentionError} when too many files cannot be read;
 *   {StoppedError} when aborted
 */
export async function prepareShards(recipe: Recipe, options: PrepareOptions): Promise<PreparedSet> {
  const started = performance.now()
  try {
    const request = await readRequest(recipe, options.root)
    const key = stagingKey(request.prepare, request.cases, null)
    const place = setPlace(options, key)
    const hashes = await SourceHashes.open(place.parent)
    const found = await findSet(request, place, hashes, options.signal)
    const dir = found?.dir ?? (await makeSet(recipe, request, { place, key, hashes, started }, options))
    return await withTables(recipe, request, dir, { started, reused: found !== null })
  } catch (error) {
    if (options.signal.aborted && !(error instanceof StoppedError))
      throw new StoppedError('Stopped. The same command goes on from there.', { cause: error })
    throw error
  }
}

interface Making {
  place: SetPlace
  key: string
  hashes: SourceHashes
  started: number
}

async function makeSet(
  recipe: Recipe,
  request: PrepareRequest,
  { place, key, hashes, started }: Making,
  options: PrepareOptions,
): Promise<string> {
  await refuseForeignFolder(place)
  await using _lock = await lockFolder(place.locks, 'all', () => true)
  if ((await publish(place)) !== null) {
    // An earlier run was killed between its last shard and the end.
    const found = await findSet(request, place, hashes, options.signal)
    if (found !== null) return found.dir
    await refuseForeignFolder(place)
  }
  const plan = await plannedSpec(place.staging, key, () => sampledSpec(request))
  const jobs = planJobs(request, plan)
  options.log(`${request.cases.length} cases in ${jobs.length} shards, below ${place.parent}`)
  const { staging } = place
  const { workers, signal, log, root } = options
  await makeMissing(jobs, { staging, root, plan, workers, signal, log })

  const finished = (await readFinished(staging, jobs, root)).map((one, i) => {
    if (one === null)
      throw new UserError(
        `Shard ${jobs[i]!.name} changed while the set was made. Run the same command again.`,
      )
    return one
  })
  const sources = finished.flatMap((one) => one.sources)
  rememberSources(hashes, root, sources)
  await hashes.save()
  await describeSet(
    staging,
    finished.map((one) => one.report),
    {
      spec: plan,
      quarantined: finished.flatMap((one) => one.report.quarantined),
      allowed: mostQuarantined(recipe.data.max_quarantined, request.cases.length),
      report: {
        request_ids: [answeredRequest(request, new Map(sources.map((one) => [one.case_id, one.sha256])))],
        config_id: configId(request.prepare),
        case_list_id: caseListId(request.cases),
        updated_from: null,
        seconds: (performance.now() - started) / 1000,
        workers,
      },
    },
  )
  const dir = await publish(place)
  if (dir === null) throw new Error(`nothing to publish in ${staging}`)
  return dir
}

function rememberSources(hashes: SourceHashes, root: string, sources: readonly StagedSource[]): void {
  for (const { path, stamp, sha256 } of sources)
    if (stamp !== null && sha256 !== null) hashes.remember(join(root, path), stamp, sha256)
}

async function withTables(
  recipe: Recipe,
  request: PrepareRequest,
  dir: string,
  { started, reused }: { started: number; reused: boolean },
): Promise<PreparedSet> {
  const index = (await readIndex(dir))!
  const stored = await storedCases(dir, index)
  const byId = new Map(request.cases.map((one) => [one.case_id, one]))
  const cases = stored.map(({ case_id }): Case => byId.get(case_id)!)
  const labels = await writeLabelsTable(dir, index, recipe.task.labels, cases)

  const same = sameBytes(stored.map((one) => one.sha256))
  const rule = recipe.data.split
  const assigned = assignSplit(cases, rule, { together: same.map((group) => group.cases) })
  const leaks = findLeaks(cases, assigned.parts, same)
  const training = () => pixelStatistics(dir, index, (i) => assigned.parts[i] === 'train')
  const normalization = await normalizationOf(recipe.prepare.normalize, index.preprocess, training)
  const split = await writeSplitTable(dir, labels, cases, { rule, assigned, leaks, normalization })

  const warnings = [...request.source.warnings, ...assigned.warnings]
  if (leaks.length > 0)
    warnings.push(`The parts of the split share patients or images: ${describeLeaks(leaks)}.`)
  const seconds = (performance.now() - started) / 1000
  const result: PrepareResult = {
    out: dir,
    set_id: index.set_id,
    cases: index.num_cases,
    shards: index.shards.length,
    bytes: index.shards.reduce((sum, { bytes }) => sum + bytes, 0),
    quarantined: (await readLines(join(dir, 'quarantine.jsonl'), Quarantined)) ?? [],
    seconds,
    cases_per_second: index.num_cases / seconds,
    reused,
  }
  return { dir, index, labels, split, result, synthetic: request.source.synthetic, warnings }
}
