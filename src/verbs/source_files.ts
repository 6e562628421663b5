import { dirname, join } from 'node:path'
import { filesSha256 } from '../package/certified_volume.ts'
import type { FindFiles } from '../package/verify_segment.ts'
import { UserError } from '../schema/errors.ts'
import { SourceStamp } from '../schema/staging.ts'
import { readSource } from '../sources/read.ts'
import { readBytes, readTextIfExists, sha256, sha256File, stampFile } from '../storage/local.ts'
import type { LoadedRecipe } from './load_recipe.ts'

/** Opens the file whose bytes have a hash; null when it is not at hand. */
export type FindFile = (file_sha256: string) => Promise<(() => Promise<Uint8Array>) | null>

/**
 * Files where `prepare` read them; those that are not there any more among the images of a recipe, where one is given.
 */
export async function filesOfRun(
  shardSet: string,
  data: LoadedRecipe | undefined,
  signal: AbortSignal,
): Promise<FindFile> {
  const whereRead = await filesOfShardSet(shardSet)
  let moved: Promise<FindFile> | null = null
  return async (wanted) => {
    const found = await whereRead(wanted)
    if (found !== null || data === undefined) return found
    moved ??= filesOfRecipe(data, signal)
    return (await moved)(wanted)
  }
}

/**
 * Files where `prepare` read them, as the hashes kept beside the shard set remember. A file that is gone or was
 * changed since is not found.
 */
async function filesOfShardSet(shardSet: string): Promise<FindFile> {
  const paths = new Map<string, string[]>()
  for (const folder of [shardSet, dirname(shardSet)]) {
    const text = (await readTextIfExists(join(folder, 'private/source_hashes.jsonl'))) ?? ''
    for (const line of text.split('\n')) {
      const stamp = line === '' ? null : readStamp(line)
      if (stamp) paths.set(stamp.sha256, [...(paths.get(stamp.sha256) ?? []), stamp.path])
    }
  }
  return async (wanted) => {
    for (const path of paths.get(wanted) ?? [])
      if ((await stampFile(path)) !== null && (await sha256File(path)) === wanted) return opener(path, wanted)
    return null
  }
}

/** Files of a recipe's data set, found by hashing them one after the other, no further than needed. */
export async function filesOfRecipe(loaded: LoadedRecipe, signal: AbortSignal): Promise<FindFile> {
  const { recipe, root } = loaded
  const { cases } = await readSource(recipe.data, recipe.task, root, signal, {
    isOfVolumes: recipe.prepare.kind === 'volume',
  })
  const unread = cases.flatMap((one) => one.images.map((image) => join(root, image))).reverse()
  const paths = new Map<string, string>()
  return async (wanted) => {
    while (!paths.has(wanted) && unread.length > 0) {
      signal.throwIfAborted()
      const path = unread.pop()!
      if ((await stampFile(path)) !== null) paths.set(await sha256File(path), path)
    }
    const path = paths.get(wanted)
    return path === undefined ? null : opener(path, wanted)
  }
}

/** The cases of a recipe's data set by the hashes of their images, hashed one after the other, no further than needed. */
export async function volumesOfRecipe(loaded: LoadedRecipe, signal: AbortSignal): Promise<FindFiles> {
  const { recipe, root } = loaded
  const { cases } = await readSource(recipe.data, recipe.task, root, signal, { isOfVolumes: true })
  const paths = cases.map(({ images }) => images.map((image) => join(root, image)))
  const unread = Map.groupBy(paths, ({ length }) => length)
  const known = new Map<string, string[]>()
  return async ({ files_sha256, num_files }) => {
    const rest = unread.get(num_files) ?? []
    while (!known.has(files_sha256) && rest.length > 0) {
      signal.throwIfAborted()
      const next = rest.pop()!
      const hashes = await hashesOf(next)
      if (hashes !== null) known.set(filesSha256(hashes), next)
    }
    const found = known.get(files_sha256)
    if (found === undefined) return null
    return async () => {
      const files = await Promise.all(found.map(readBytes))
      if (filesSha256(files.map(sha256)) === files_sha256) return files
      throw new UserError(
        'The files of a case changed while they were checked.\n  do: run the same command again.',
      )
    }
  }
}

/** null where one is gone. */
async function hashesOf(paths: readonly string[]): Promise<string[] | null> {
  const hashes: string[] = []
  for (const path of paths) {
    if ((await stampFile(path)) === null) return null
    hashes.push(await sha256File(path))
  }
  return hashes
}

function opener(path: string, wanted: string): () => Promise<Uint8Array> {
  return async () => {
    const bytes = await readBytes(path)
    if (sha256(bytes) !== wanted)
      throw new UserError(`${path} changed while it was being checked.\n  do: run the same command again.`)
    return bytes
  }
}

function readStamp(line: string): SourceStamp | null {
  try {
    return SourceStamp.safeParse(JSON.parse(line)).data ?? null
  } catch {
    return null // one file less that is found by itself; --data finds it
  }
}
