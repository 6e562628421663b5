import { join } from 'node:path'
import { UserError } from '../schema/errors.ts'
import { LabelsTable, type ShardIndex, SplitTable } from '../schema/shard_set.ts'
import { listFolder, move, readTextIfExists, removeAll, sha256File, stampFile } from '../storage/local.ts'
import { lockFolder } from './folder_lock.ts'
import type { Making } from './make_set.ts'
import { shardFiles } from './shard_layout.ts'
import { nameOf, readIndex } from './shard_set.ts'
import type { ShardJob } from './shard_writer.ts'
import { jobCase } from './staged_shards.ts'
import { readReport, readShardCases, stagedSet } from './staging.ts'
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
 * Makes damaged shards of a set again, from the same sources; the others are left alone. Sizes are checked, and with
 * `verify` every byte.
 *
 * @returns how many were made again
 * @throws {ShardError} if a shard cannot be made again as it was
 */
export async function repairSet(dir: string, making: Making, options: { verify: boolean }): Promise<number> {
  const index = (await readIndex(dir))!
  const damage = await damagedFiles(dir, index, { readAll: options.verify })
  if (damage.length === 0) return 0
  for (const { what } of damage) making.log(`damaged: ${what}`)
  await using _lock = await lockFolder(making.place.locks, 'all', () => true)
  const byId = new Map(making.request.cases.map((one) => [one.case_id, one]))
  const names = [...new Set(damage.map(({ name }) => name))]
  const jobs: ShardJob[] = []
  for (const name of names) {
    if (damage.some((one) => one.name === name && !one.isTensors)) throw beyondRepair(name, dir)
    const cases = await readShardCases(dir, name)
    jobs.push({ name, cases: cases.map(({ case_id }) => jobCase(byId.get(case_id)!)) })
  }
  const staging = join(making.place.parent, `.staging-repair-${index.set_id.slice(0, 12)}`)
  await removeAll(staging)
  const { workers, signal, log, request } = making
  log(`Making ${jobs.length} damaged shard${jobs.length === 1 ? '' : 's'} again.`)
  await makeShards(jobs, {
    folder: staging,
    root: request.root,
    spec: index.preprocess,
    workers,
    signal,
    onProgress: () => {},
  })
  for (const { name } of jobs) {
    const made = await readReport(stagedSet(staging), name)
    const wanted = index.shards.find((shard) => nameOf(shard.file) === name)!
    if (made?.shard?.sha256 !== wanted.sha256) throw beyondRepair(name, dir)
    await move(join(stagedSet(staging), wanted.file), join(dir, wanted.file))
  }
  await removeAll(staging)
  return jobs.length
}

interface Damage {
  /** Of the shard. */
  name: string
  /** The pixels, which can be made again; else a file that says what they are. */
  isTensors: boolean
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
    if (!shard) damage.push({ name, isTensors: false, what: `${files.report} is missing or not readable.` })
    const expected = [
      { file, bytes, sha256, isTensors: true },
      ...(shard
        ? [
            { file: files.cases, bytes: shard.cases_bytes, sha256: shard.cases_sha256, isTensors: false },
            { file: files.sums, bytes: shard.sums_bytes, sha256: shard.sums_sha256, isTensors: false },
          ]
        : []),
    ]
    for (const one of expected) {
      const what = await difference(join(dir, one.file), one, options.readAll)
      if (what !== null) damage.push({ name, isTensors: one.isTensors, what: `${one.file} ${what}` })
    }
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

async function difference(
  path: string,
  expected: { bytes: number; sha256: string },
  readAll: boolean,
): Promise<string | null> {
  const found = await stampFile(path)
  if (found === null) return 'is missing.'
  if (found.size !== expected.bytes)
    return `holds ${found.size} bytes; it was written with ${expected.bytes}.`
  if (!readAll) return null
  const digest = await sha256File(path)
  return digest === expected.sha256 ? null : `has SHA-256 ${digest}; it was written with ${expected.sha256}.`
}

function beyondRepair(name: string, dir: string): ShardError {
  return new ShardError(
    `Shard ${name} cannot be made again as it was.\n  in: ${dir}\n` +
      '  do: delete that folder and run the same command again; the whole set is then made anew.',
  )
}
