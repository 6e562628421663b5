import { join } from 'node:path'
import { AttentionError, UserError } from '../schema/errors.ts'
import type { Quarantined, ShardIndex } from '../schema/shard_set.ts'
import type { PrepareReport, ShardReport, StagingPlan } from '../schema/staging.ts'
import { listFolder, makeFolder, move, readTextIfExists, removeAll, writeAtomic } from '../storage/local.ts'
import { addCounts, fingerprint } from './fingerprint.ts'
import { setId } from './identity.ts'
import type { SetPlace } from './place.ts'
import { nameOf, readIndex, readPrepareReport, storedCases } from './shard_set.ts'
import { stagedSet } from './staging.ts'
import { pixelStatistics } from './statistics.ts'

/**
 * Writes what describes a whole set, into its staging folder; `index.json` comes last.
 *
 * @param reports of all shards, in order
 * @param files of the quarantined cases included, in any order
 * @throws {AttentionError} if more cases are quarantined than allowed: nothing is published
 */
export async function describeSet(
  staging: string,
  reports: readonly ShardReport[],
  about: {
    spec: Pick<StagingPlan, 'preprocess' | 'code_version' | 'brick'>
    quarantined: readonly Quarantined[]
    allowed: number
    report: Omit<PrepareReport, 'format' | 'set_id' | 'cases' | 'quarantined' | 'shards' | 'bytes' | 'notes'>
  },
): Promise<ShardIndex> {
  const dir = stagedSet(staging)
  await refuseTooManyQuarantined(staging, about.quarantined, about.allowed)
  const shards = reports.flatMap(({ shard }) => (shard === null ? [] : [shard]))
  if (shards.length === 0)
    throw new AttentionError(`None of the cases could be read.\n  see: ${quarantineFile(staging)}`)
  const { preprocess, code_version, brick } = about.spec
  const stored = await storedCases(dir, { shards })
  const keys = {
    format: 1 as const,
    set_id: setId(preprocess, code_version, stored, brick),
    code_version,
    num_cases: stored.length,
    shards: shards.map(({ file, num_cases, bytes, sha256 }) => ({ file, num_cases, bytes, sha256 })),
  }
  const index: ShardIndex =
    preprocess.kind === 'image'
      ? {
          kind: 'images',
          preprocess,
          sample_shape: [preprocess.channels, ...preprocess.size],
          dtype: preprocess.dtype,
          ...keys,
        }
      : {
          kind: 'volumes',
          preprocess,
          dtype: preprocess.dtype,
          has_masks: stored.some((one) => one.mask_voxels !== null),
          brick,
          ...keys,
        }
  await removeTemporaries(dir)
  const pixels = fingerprint(preprocess, reports, stored, await pixelStatistics(dir, index))
  const report: PrepareReport = {
    format: 1,
    set_id: index.set_id,
    ...about.report,
    cases: index.num_cases,
    quarantined: about.quarantined.length,
    shards: shards.length,
    bytes: shards.reduce((sum, { bytes }) => sum + bytes, 0),
    notes: addCounts(reports.map((one) => one.notes)),
  }
  await writeAtomic(join(dir, 'fingerprint.json'), `${JSON.stringify(pixels, null, 2)}\n`)
  await writeAtomic(join(dir, 'report.json'), `${JSON.stringify(report, null, 2)}\n`)
  await writeAtomic(join(dir, 'index.json'), `${JSON.stringify(index, null, 2)}\n`)
  return index
}

/** Files that killed processes left half written; every shard is finished now, so nobody is writing. */
async function removeTemporaries(dir: string): Promise<void> {
  for (const folder of [dir, join(dir, 'shards')])
    for (const name of await listFolder(folder))
      if (name.endsWith('.tmp')) await removeAll(join(folder, name))
}

/**
 * Writes the list of cases that could not be read.
 *
 * @param beforeReading no file has been opened yet: these are not there at all
 * @throws {AttentionError} if there are more than allowed
 */
export async function refuseTooManyQuarantined(
  staging: string,
  quarantined: readonly Quarantined[],
  allowed: number,
  beforeReading = false,
): Promise<void> {
  const sorted = [...quarantined].sort((a, b) => (a.case_id < b.case_id ? -1 : 1))
  await writeAtomic(quarantineFile(staging), sorted.map((line) => `${JSON.stringify(line)}\n`).join(''))
  if (sorted.length > allowed)
    throw tooManyQuarantined(sorted, allowed, quarantineFile(staging), beforeReading)
}

const quarantineFile = (staging: string) => join(stagedSet(staging), 'quarantine.jsonl')

/**
 * Makes a described set visible: renames it into the shared folder, or moves it into the folder of its own, the index
 * last. May be killed at any point and run again.
 *
 * @returns the folder of the set, or null when nothing was ready to be published
 */
export async function publish(place: SetPlace): Promise<string | null> {
  const from = stagedSet(place.staging)
  const index = await readIndex(from)
  if (index === null) return null
  if (place.out === null) {
    const target = join(place.parent, index.set_id.slice(0, 12))
    const there = await readIndex(target)
    if (there === null && (await listFolder(target)).length > 0)
      throw new UserError(
        `${target} is in the way: it holds files but no shard set.\n  do: move it away and run the same command again.`,
      )
    if (there === null) await move(from, target)
    else await addRequests(target, (await readPrepareReport(from))!)
    await removeAll(place.staging)
    return target
  }
  await moveInto(from, place.out)
  await removeAll(place.staging)
  return place.out
}

/**
 * The same pixels answer one more request, e.g. without a file that could not be read anyway; or the same one again,
 * where the report that is there was damaged.
 */
async function addRequests(dir: string, made: PrepareReport): Promise<void> {
  const there = await readPrepareReport(dir).catch((error) => {
    if (error instanceof UserError) return null
    throw error
  })
  const report = there?.set_id === made.set_id ? there : made
  report.request_ids = [...new Set([...report.request_ids, ...made.request_ids])]
  await writeAtomic(join(dir, 'report.json'), `${JSON.stringify(report, null, 2)}\n`)
}

/** Shards and tables first: old ones keep their names, so the set that is there stays whole until its index goes. */
async function moveInto(from: string, to: string): Promise<void> {
  for (const folder of ['tables', 'shards']) {
    await makeFolder(join(to, folder))
    for (const name of await listFolder(join(from, folder)))
      await move(join(from, folder, name), join(to, folder, name))
  }
  for (const name of ['quarantine.jsonl', 'fingerprint.json', 'report.json', 'index.json'])
    if ((await readTextIfExists(join(from, name))) !== null) await move(join(from, name), join(to, name))
  await removeUnlisted(to)
}

/** Removes shards of an earlier set in the same folder, and tables that count by its rows. */
export async function removeUnlisted(dir: string): Promise<void> {
  const index = (await readIndex(dir))!
  const kept = new Set(index.shards.map(({ file }) => nameOf(file)))
  for (const name of await listFolder(join(dir, 'shards')))
    if (!kept.has(name.split('.')[0]!)) await removeAll(join(dir, 'shards', name))
  for (const name of await listFolder(join(dir, 'tables'))) {
    const about = name.startsWith('labels-') ? 'labels.json' : name.startsWith('split-') ? 'split.json' : null
    if (about === null) continue
    const text = await readTextIfExists(join(dir, 'tables', name, about))
    if (text === null || JSON.parse(text).set_id !== index.set_id) await removeAll(join(dir, 'tables', name))
  }
}

/** The same refusal for a set that is there: the recipe may have become stricter. */
export function tooManyQuarantined(
  quarantined: readonly Quarantined[],
  allowed: number,
  list: string,
  beforeReading = false,
): AttentionError {
  const shown = quarantined
    .slice(0, 5)
    .map((one) => `  ${one.case_id}${named(one)}: ${one.reason.split('\n')[0]}`)
  if (quarantined.length > shown.length) shown.push(`  … and ${quarantined.length - shown.length} more`)
  return new AttentionError(
    `${quarantined.length} ${quarantined.length === 1 ? 'case' : 'cases'} could not be read; at most ${Math.floor(allowed)} may be (data.max_quarantined). ` +
      `Nothing was published.\n${beforeReading ? '  No other file has been read yet; more of them may be unreadable.\n' : ''}${shown.join('\n')}\n  all of them: ${list}\n` +
      '  do: repair or remove these files and run the same command again, finished shards are kept; ' +
      'or raise data.max_quarantined.',
  )
}

/** The file where the case's name does not tell it. */
const named = ({ case_id, file }: Quarantined) => (file.includes(case_id) ? '' : ` (${file})`)
