import { join } from 'node:path'
import { SourceStamp } from '../schema/staging.ts'
import { inParallel } from '../storage/in_parallel.ts'
import {
  explain,
  type FileStamp,
  makeFolder,
  readTextIfExists,
  sha256File,
  stampFile,
  writeAtomic,
} from '../storage/local.ts'
import { lockFolderInTurn } from './folder_lock.ts'

/** What is known of each case's file without reading it. */
export interface KnownSource {
  stamp: FileStamp | null
  /** null: not known yet, or there is no such file. */
  sha256: string | null
}

/**
 * SHA-256 of source files, remembered by (path, size, modification time), so that an unchanged file is read once.
 * Kept in a `private/` folder, as paths may tell who a patient is.
 */
export class SourceHashes {
  readonly #path: string
  readonly #stamps: Map<string, SourceStamp>
  /** Learnt since it was last saved. */
  readonly #fresh = new Map<string, SourceStamp>()

  private constructor(path: string, stamps: Map<string, SourceStamp>) {
    this.#path = path
    this.#stamps = stamps
  }

  static async open(folder: string): Promise<SourceHashes> {
    const path = join(folder, 'private/source_hashes.jsonl')
    return new SourceHashes(path, await readStamps(path))
  }

  /** Looks a file up by its stamp. */
  async look(path: string): Promise<KnownSource> {
    const stamp = await stampFile(path)
    const known = this.#stamps.get(path)
    const isSame = stamp !== null && known?.size === stamp.size && known.mtime_ns === stamp.mtime_ns
    return { stamp, sha256: isSame ? known.sha256 : null }
  }

  remember(path: string, stamp: FileStamp, sha256: string): void {
    const whole = { path, ...stamp, sha256 }
    this.#stamps.set(path, whole)
    this.#fresh.set(path, whole)
  }

  /** Adds what was learnt to the file, beside what other processes have saved since it was read. */
  async save(): Promise<void> {
    if (this.#fresh.size === 0) return
    const folder = join(this.#path, '..')
    await makeFolder(folder, { isPrivate: true })
    // After 30 s it goes on without a turn, as a lost hash costs one more reading only.
    await using _turn = await lockFolderInTurn(join(folder, '.locks'), 'source_hashes', 30_000)
    for (const [path, stamp] of await readStamps(this.#path))
      if (!this.#fresh.has(path)) this.#stamps.set(path, stamp)
    const text = [...this.#stamps.values()].map((stamp) => `${JSON.stringify(stamp)}\n`).join('')
    await writeAtomic(this.#path, text, { isPrivate: true })
    this.#fresh.clear()
  }
}

async function readStamps(path: string): Promise<Map<string, SourceStamp>> {
  const stamps = new Map<string, SourceStamp>()
  for (const line of ((await readTextIfExists(path)) ?? '').split('\n')) {
    if (line === '') continue
    try {
      const stamp = SourceStamp.parse(JSON.parse(line))
      stamps.set(stamp.path, stamp)
    } catch {} // a line that cannot be read costs one more reading of its file
  }
  return stamps
}

/** `look` for many files, a few at a time. */
export async function lookAll(hashes: SourceHashes, paths: readonly string[]): Promise<KnownSource[]> {
  return inParallel(paths, 16, (path) => hashes.look(path))
}

/** Reads the files whose hash is not known, without decoding them; one that cannot be read stays null. */
export async function hashUnknown(
  hashes: SourceHashes,
  paths: readonly string[],
  known: readonly KnownSource[],
  signal: AbortSignal,
): Promise<KnownSource[]> {
  return inParallel(paths, 4, async (path, i) => {
    const { stamp, sha256 } = known[i]!
    if (sha256 !== null || stamp === null) return known[i]!
    signal.throwIfAborted()
    try {
      const digest = await sha256File(path)
      hashes.remember(path, stamp, digest)
      return { stamp, sha256: digest }
    } catch (cause) {
      if (explain(cause, path) === cause) throw cause
      return { stamp, sha256: null }
    }
  })
}
