import { join } from 'node:path'
import { UserError } from '../schema/errors.ts'
import type { PrepareReport } from '../schema/staging.ts'
import { count } from '../sources/source_data.ts'
import { listFolder } from '../storage/local.ts'
import { caseSha256, hashUnknownCases, lookUpCases } from './case_sources.ts'
import { caseListId, configId, requestId } from './identity.ts'
import type { SetPlace } from './place.ts'
import type { PrepareRequest } from './request.ts'
import { readIndex, readPrepareReport } from './shard_set.ts'
import type { SourceHashes } from './source_hashes.ts'

export interface FoundSet {
  dir: string
  report: PrepareReport
}

/**
 * Whole sets at a place, in the order of their names. One that cannot be read, say of another version, is passed over
 * where others lie beside it.
 */
export async function listSets(place: SetPlace): Promise<FoundSet[]> {
  if (place.out !== null) return [await readSet(place.out)].filter((set) => set !== null)
  const found: FoundSet[] = []
  for (const dir of await namesBelow(place.parent)) {
    const set = await readSet(dir).catch((error) => {
      if (error instanceof UserError) return null
      throw error
    })
    if (set !== null) found.push(set)
  }
  return found
}

async function readSet(dir: string): Promise<FoundSet | null> {
  const [index, report] = [await readIndex(dir), await readPrepareReport(dir)]
  return index !== null && report?.set_id === index.set_id ? { dir, report } : null
}

/**
 * The set that answers a request, found by the hashes of its sources. Files whose stamp is known are not read; others
 * are hashed only where some set was made of the same cases.
 */
export async function findSet(
  request: PrepareRequest,
  place: SetPlace,
  hashes: SourceHashes,
  signal: AbortSignal,
  options = { mayRead: true },
): Promise<FoundSet | null> {
  const config = configId(request.prepare)
  const sets = await listSets(place)
  if (sets.length === 0) return null
  let sources = await lookUpCases(hashes, request.cases, request.root)
  if (sources.some(({ files }) => files.some((file) => file.stamp !== null && file.sha256 === null))) {
    const list = caseListId(request.cases)
    const isAlike = ({ report }: FoundSet) => report.config_id === config && report.case_list_id === list
    if (!options.mayRead || !sets.some(isAlike)) return null
    sources = await hashUnknownCases(hashes, sources, request.root, signal)
    await hashes.save()
  }
  const id = requestId(
    request.prepare,
    sources.map(({ case_id, files }) => ({ case_id, sha256: caseSha256(files) })),
  )
  // The id covers the keys of `prepare` too, so a set made with other keys but equal pixels answers as well.
  const answers = sets.filter(({ report }) => report.request_ids.includes(id))
  // An updated set rather than one made anew: it knows where patients were before.
  return answers.find(({ report }) => report.updated_from !== null) ?? answers[0] ?? null
}

/** Sets at a place that no request can find, as what describes them is damaged or of another version: a line each. */
export async function passedOver(place: SetPlace): Promise<string[]> {
  const lines: string[] = []
  for (const dir of place.out === null ? await namesBelow(place.parent) : []) {
    try {
      const [index, report] = [await readIndex(dir), await readPrepareReport(dir)]
      if (index === null) continue
      if (report === null) lines.push(`${dir} is passed over: its report.json is missing.`)
      else if (report.set_id !== index.set_id)
        lines.push(
          `${dir} is passed over: its report.json is damaged, as it names another set than index.json.`,
        )
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      lines.push(`${dir} is passed over: ${error.message}`)
    }
  }
  return lines
}

/** @throws {UserError} when a folder named by --out holds something else than this set or its unfinished work */
export async function refuseForeignFolder(place: SetPlace): Promise<void> {
  if (place.out === null) return
  const other = (await listSets(place))[0]
  if (other)
    throw new UserError(
      `${place.out} holds another shard set: ${count(other.report.cases, 'case')}, set ${other.report.set_id.slice(0, 12)}.\n` +
        '  do: choose another --out; or, if the data set has grown or changed, run prepare with --update; ' +
        'or delete that folder.',
    )
  const names = (await listFolder(place.out)).filter((name) => !OWN.has(name))
  if (names.length > 0)
    throw new UserError(
      `${place.out} is not empty and holds no shard set (${names.slice(0, 3).join(', ')}${names.length > 3 ? ', …' : ''}).\n` +
        '  do: choose a new or empty folder for --out.',
    )
}

const OWN = new Set(['.staging', '.locks', 'private'])

async function namesBelow(parent: string): Promise<string[]> {
  return (await listFolder(parent))
    .filter((name) => /^[0-9a-f]{12}$/.test(name))
    .map((name) => join(parent, name))
}
