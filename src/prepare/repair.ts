import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { UserError } from '../schema/errors.ts'
import { LabelsTable, Quarantined, type ShardIndex, SplitTable } from '../schema/shard_set.ts'
import { listFolder, move, readTextIfExists, removeAll, sha256File, stampFile } from '../storage/local.ts'
import { lockFolder } from './folder_lock.ts'
import { setId } from './identity.ts'
import type { Making } from './make_set.ts'
import type { PrepareRequest } from './request.ts'
import { maskPlan } from './sample_plan.ts'
import { shardFiles } from './shard_layout.ts'
import { nameOf, readIndex } from './shard_set.ts'
import type { ShardJob } from './shard_writer.ts'
import { jobCase } from './staged_shards.ts'
import { readLines, readReport, readShardCases, stagedSet } from './staging.ts'
import { makeShards } from './worker_pool.ts'

/** A shard set whose files are not those that its index names. */
export class ShardError extends UserError {
  override name = 'ShardError'
}

/**
 * Checks every file of a set against its checksum, its tables included.
 *
 * @throws {ShardError} naming each file that differs
 */
export async function verifyShards(dir: string): Promise<void> {
  const index = await readIndex(dir)
  if (index === null) throw new ShardError(`There is no shard set here: index.json is missing.\n  in: ${dir}`)
  const damage = [...(await damagedFiles(dir, index, { readAll: true })), ...(await damagedTables(dir))]
  if (damage.length === 0) return
  throw new ShardError(
    `${damage.length === 1 ? 'A file' : `${damage.length} files`} of the shard set ${damage.length === 1 ? 'is' : 'are'} damaged:\n` +
      `${damage.map(({ what }) => `  ${what}`).join('\n')}\n  in: ${dir}\n` +
      '  do: run "fiducial prepare --verify" on the recipe; it makes damaged shards and tables again and leaves the others.',
  )
}

/**
 * Makes damaged shards of a set again, from the same sources; the others are left alone. Pixels are compared by their
 * size, and with `verify` by every byte; the small files beside them always by every byte.
 *
 * @returns how many were made again
 * @throws {ShardError} if a shard cannot be made again as it was
 */
export async function repairSet(dir: string, making: Making, options: { verify: boolean }): Promise<number> {
  const index = (await readIndex(dir))!
  const damage = await damagedFiles(dir, index, { readAll: options.verify })
  if (damage.length === 0) return 0
  const { workers, signal, log, request, place } = making
  for (const { what } of damage) log(`damaged: ${what}`)
  await using _lock = await lockFolder(place.locks, 'all', () => true)
  const names = new Set(damage.map(({ name }) => name))
  const jobs = (await damagedJobs(dir, index, request, damage)).filter((job) => names.has(job.name))
  const staging = join(place.parent, `.staging-repair-${index.set_id.slice(0, 12)}`)
  await removeAll(staging)
  log(`Making ${jobs.length} damaged shard${jobs.length === 1 ? '' : 's'} again.`)
  await makeShards(jobs, {
    folder: staging,
    root: request.root,
    plan: { preprocess: index.preprocess, ...maskPlan(request) },
    workers,
    signal,
    onProgress: () => {},
  })
  await refuseOthers(dir, stagedSet(staging), index, damage)
  for (const { name } of jobs) await putBack(stagedSet(staging), dir, name)
  await removeAll(staging)
  return jobs.length
}

/**
 * Every shard with its cases. Where the list of cases is damaged they are those that no other list and not the
 * quarantine names: shards are runs of the ordered cases.
 */
async function damagedJobs(
  dir: string,
  index: ShardIndex,
  request: PrepareRequest,
  damage: readonly Damage[],
): Promise<ShardJob[]> {
  const left = new Map(request.cases.map((one) => [one.case_id, one]))
  const listed = new Map<string, ShardJob['cases']>()
  for (const { file, num_cases } of index.shards) {
    const name = nameOf(file)
    if (damage.some((one) => one.name === name && one.file === 'cases')) continue
    const rows = await readShardCases(dir, name).catch(() => []) // without a report, this is how damage shows
    if (rows.length !== num_cases || !rows.every(({ case_id }) => left.has(case_id))) continue
    listed.set(
      name,
      rows.map(({ case_id }) => jobCase(left.get(case_id)!)),
    )
    for (const { case_id } of rows) left.delete(case_id)
  }
  for (const { case_id } of (await readLines(join(dir, 'quarantine.jsonl'), Quarantined)) ?? [])
    left.delete(case_id)
  const unlisted = [...left.values()].map(jobCase)
  return index.shards.map(({ file, num_cases }) => {
    const name = nameOf(file)
    return { name, cases: listed.get(name) ?? unlisted.splice(0, num_cases) }
  })
}

/** Refuses shards made again that are not those of the set: its id names every case and source in order. */
async function refuseOthers(
  dir: string,
  made: string,
  index: ShardIndex,
  damage: readonly Damage[],
): Promise<void> {
  const stored = []
  for (const { file, sha256 } of index.shards) {
    const name = nameOf(file)
    const what = damage.filter((one) => one.name === name).map((one) => one.what)
    if (what.length > 0 && (await readReport(made, name))?.shard?.sha256 !== sha256)
      throw beyondRepair(dir, name, what)
    stored.push(...(await readShardCases(what.length > 0 ? made : dir, name)))
  }
  if (setId(index.preprocess, index.code_version, stored, brickOf(index)) !== index.set_id)
    throw beyondRepair(
      dir,
      damage[0]!.name,
      damage.map((one) => one.what),
    )
}

const brickOf = (index: ShardIndex) => (index.kind === 'volumes' ? index.brick : null)

/** The report last, and only where the one that is there says something else: it also lists what was quarantined. */
async function putBack(made: string, dir: string, name: string): Promise<void> {
  const { tensors, cases, sums, report } = shardFiles(name)
  const [there, now] = [await readReport(dir, name), await readReport(made, name)]
  const files = isDeepStrictEqual(there?.shard, now?.shard)
    ? [tensors, cases, sums]
    : [tensors, cases, sums, report]
  for (const file of files) await move(join(made, file), join(dir, file))
}

interface Damage {
  /** Of the shard. */
  name: string
  file: 'tensors' | 'cases' | 'sums' | 'report'
  what: string
}

async function damagedFiles(
  dir: string,
  index: ShardIndex,
  options: { readAll: boolean },
): Promise<Damage[]> {
  const damage: Damage[] = []
  for (const { file, bytes, sha256 } of index.shards) {
    const name = nameOf(file)
    const files = shardFiles(name)
    const shard = (await readReport(dir, name))?.shard
    const compare = async (which: 'tensors' | 'cases' | 'sums', expected: Expected, readAll: boolean) => {
      const what = await difference(join(dir, files[which]), expected, readAll)
      if (what !== null) damage.push({ name, file: which, what: `${files[which]} ${what}` })
    }
    await compare('tensors', { bytes, sha256 }, options.readAll)
    if (!shard) {
      damage.push({ name, file: 'report', what: `${files.report} is missing or not readable.` })
      continue
    }
    await compare('cases', { bytes: shard.cases_bytes, sha256: shard.cases_sha256 }, true)
    await compare('sums', { bytes: shard.sums_bytes, sha256: shard.sums_sha256 }, true)
  }
  return damage
}

/** Tables whose tensors are not those that their manifest names; `prepare` compares and mends them by itself. */
async function damagedTables(dir: string): Promise<{ what: string }[]> {
  const damage: { what: string }[] = []
  for (const folder of await listFolder(join(dir, 'tables'))) {
    const kind = folder.startsWith('labels-') ? 'labels' : folder.startsWith('split-') ? 'split' : null
    if (kind === null) continue
    const at = join('tables', folder, `${kind}.json`)
    const text = await readTextIfExists(join(dir, at))
    if (text === null) continue // not finished: written last
    const sha256 = tableSha256(kind === 'labels' ? LabelsTable : SplitTable, text)
    const tensors = join('tables', folder, `${kind}.safetensors`)
    if (sha256 === null) damage.push({ what: `${at} cannot be read.` })
    else if ((await stampFile(join(dir, tensors))) === null) damage.push({ what: `${tensors} is missing.` })
    else if ((await sha256File(join(dir, tensors))) !== sha256)
      damage.push({ what: `${tensors} has not the SHA-256 that ${kind}.json names.` })
  }
  return damage
}

function tableSha256(schema: typeof LabelsTable | typeof SplitTable, text: string): string | null {
  try {
    return schema.parse(JSON.parse(text)).sha256
  } catch {
    return null
  }
}

interface Expected {
  bytes: number
  sha256: string
}

async function difference(path: string, expected: Expected, readAll: boolean): Promise<string | null> {
  const found = await stampFile(path)
  if (found === null) return 'is missing.'
  if (found.size !== expected.bytes)
    return `holds ${found.size} bytes; it was written with ${expected.bytes}.`
  if (!readAll) return null
  const digest = await sha256File(path)
  return digest === expected.sha256 ? null : `has SHA-256 ${digest}; it was written with ${expected.sha256}.`
}

function beyondRepair(dir: string, name: string, what: readonly string[]): ShardError {
  return new ShardError(
    `Shard ${name} cannot be made again as it was.\n${what.map((line) => `  ${line}\n`).join('')}  in: ${dir}\n` +
      '  do: delete that folder and run the same command again; the whole set is then made anew.',
  )
}
