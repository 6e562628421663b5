import { dirname, join } from 'node:path'
import { START_BYTES } from '../package/input_sha256.ts'
import { readSourceMap } from '../prepare/source_map.ts'
import { UserError } from '../schema/errors.ts'
import { SourceStamp } from '../schema/staging.ts'
import { readSource } from '../sources/read.ts'
import {
  joinedSha256,
  readBytes,
  readStart,
  readTextIfExists,
  sha256,
  sha256File,
  stampFile,
} from '../storage/local.ts'
import type { LoadedRecipe } from './load_recipe.ts'

/** Opens the files of the case whose bytes have a hash, of several that of their hashes; null when they are not at hand. */
export type FindFiles = (file_sha256: string) => Promise<(() => Promise<readonly Uint8Array[]>) | null>

/**
 * Files where `prepare` read them; those that are not there any more among the cases of a recipe, where one is given.
 */
export async function filesOfRun(
  shardSet: string,
  data: LoadedRecipe | undefined,
  signal: AbortSignal,
): Promise<FindFiles> {
  const whereRead = await filesOfShardSet(shardSet)
  let moved: Promise<FindFiles> | null = null
  return async (wanted) => {
    const found = await whereRead(wanted)
    if (found !== null || data === undefined) return found
    moved ??= filesOfRecipe(data, signal)
    return (await moved)(wanted)
  }
}

/**
 * Files where `prepare` read them, as the hashes kept beside the shard set remember. A case of which a file is gone or
 * was changed since is not found.
 */
async function filesOfShardSet(shardSet: string): Promise<FindFiles> {
  const cases = new Map<string, string[][]>()
  const add = (hash: string, paths: string[]) => cases.set(hash, [...(cases.get(hash) ?? []), paths])
  const hashes = new Map<string, string>()
  for (const folder of [shardSet, dirname(shardSet)]) {
    const text = (await readTextIfExists(join(folder, 'private/source_hashes.jsonl'))) ?? ''
    for (const line of text.split('\n')) {
      const stamp = line === '' ? null : readStamp(line)
      if (!stamp) continue
      add(stamp.sha256, [stamp.path])
      hashes.set(stamp.path, stamp.sha256)
    }
  }
  for (const { images } of (await readSourceMap(shardSet))?.values() ?? []) {
    const known = images.flatMap((path) => hashes.get(path) ?? [])
    if (images.length > 1 && known.length === images.length) add(joinedSha256(known), images)
  }
  return async (wanted) => {
    for (const paths of cases.get(wanted) ?? [])
      if ((await caseHash(paths, joinedSha256)) === wanted) return opener(paths, wanted, joinedSha256)
    return null
  }
}

/** One hash of those of a case's files; `start`: first bytes of the first. */
type JoinHashes = (hashes: readonly string[], start: Uint8Array) => string

/**
 * Files of a recipe's cases, found by hashing them one after the other, no further than needed.
 *
 * @param joinHashes how the hash that is asked for names a case of several files
 */
export async function filesOfRecipe(
  loaded: LoadedRecipe,
  signal: AbortSignal,
  joinHashes: JoinHashes = joinedSha256,
): Promise<FindFiles> {
  const { recipe, root } = loaded
  const { cases } = await readSource(recipe.data, recipe.task, root, signal, {
    isOfVolumes: recipe.prepare.kind === 'volume',
  })
  const unread = cases.map((one) => one.images.map((image) => join(root, image))).reverse()
  const found = new Map<string, string[]>()
  return async (wanted) => {
    while (!found.has(wanted) && unread.length > 0) {
      signal.throwIfAborted()
      const paths = unread.pop()!
      const hash = await caseHash(paths, joinHashes)
      if (hash !== null) found.set(hash, paths)
    }
    const paths = found.get(wanted)
    return paths === undefined ? null : opener(paths, wanted, joinHashes)
  }
}

/** The hash that names a case; null where a file is not there. */
export async function caseHash(paths: readonly string[], joinHashes: JoinHashes): Promise<string | null> {
  const hashes: string[] = []
  for (const path of paths) {
    if ((await stampFile(path)) === null) return null
    hashes.push(await sha256File(path))
  }
  return joinHashes(hashes, await readStart(paths[0]!, START_BYTES))
}

function opener(
  paths: readonly string[],
  wanted: string,
  joinHashes: JoinHashes,
): () => Promise<readonly Uint8Array[]> {
  return async () => {
    const files: Uint8Array[] = []
    for (const path of paths) files.push(await readBytes(path))
    if (joinHashes(files.map(sha256), files[0]!) !== wanted)
      throw new UserError(
        `${paths.length === 1 ? paths[0] : `A file beside ${paths[0]}`} changed while it was being checked.\n  do: run the same command again.`,
      )
    return files
  }
}

function readStamp(line: string): SourceStamp | null {
  try {
    return SourceStamp.safeParse(JSON.parse(line)).data ?? null
  } catch {
    return null // one file less that is found by itself; --data finds it
  }
}
