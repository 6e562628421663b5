import { join } from 'node:path'
import { UserError } from '../schema/errors.ts'
import type { PrepareReport } from '../schema/staging.ts'
import { listFolder } from '../storage/local.ts'
import { caseListId, configId, requestId } from './identity.ts'
import type { SetPlace } from './place.ts'
import type { PrepareRequest } from './request.ts'
import { readIndex, readPrepareReport } from './shard_set.ts'
import { hashUnknown, lookAll, type SourceHashes } from './source_hashes.ts'

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
  const alike = (await listSets(place)).filter(({ report }) => report.config_id === config)
  if (alike.length === 0) return null
  const paths = request.cases.map((one) => join(request.root, one.images[0]!))
  let sources = await lookAll(hashes, paths)
  if (sources.some((source) => source.stamp !== null && source.sha256 === null)) {
    const list = caseListId(request.cases)
    if (!options.mayRead || !alike.some(({ report }) => report.case_list_id === list)) return null
    sources = await hashUnknown(hashes, paths, sources, signal)
    await hashes.save()
  }
  const id = requestId(
    request.prepare,
    request.cases.map(({ case_id }, i) => ({ case_id, sha256: sources[i]!.sha256 })),
  )
  const answers = alike.filter(({ report }) => report.request_ids.includes(id))
  // An updated set rather than one made anew: it knows where patients were before.
  return answers.find(({ report }) => report.updated_from !== null) ?? answers[0] ?? null
}

/** @throws {UserError} when a folder named by --out holds something else than this set or its unfinished work */
export async function refuseForeignFolder(place: SetPlace): Promise<void> {
  if (place.out === null) return
  const other = (await listSets(place))[0]
  if (other)
    throw new UserError(
      `${place.out} holds another shard set: ${other.report.cases} cases, set ${other.report.set_id.slice(0, 12)}.\n` +
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
