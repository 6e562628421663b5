import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { copyFile, link, mkdir, open, readdir, readFile, rename, rm, stat, statfs } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { UserError } from '../schema/errors.ts'

/**
 * Writes a file whole or not at all: a temporary neighbour is flushed to disk, then renamed over the target. Several
 * pieces are written one behind the other.
 * `isPrivate`: readable by its owner only (mode 0600).
 *
 * @throws {UserError} when the disk is full or the folder cannot be written; the old file is then untouched
 */
export async function writeAtomic(
  path: string,
  data: string | Uint8Array | readonly Uint8Array[],
  options: { isPrivate?: boolean } = {},
): Promise<void> {
  await makeFolder(dirname(path))
  const temporary = join(dirname(path), `.${randomBytes(6).toString('hex')}.tmp`)
  try {
    const file = await open(temporary, 'wx', options.isPrivate ? 0o600 : 0o666)
    try {
      for (const part of typeof data === 'string' || data instanceof Uint8Array ? [data] : data)
        await file.appendFile(part)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (cause) {
    await rm(temporary, { force: true })
    throw explain(cause, path)
  }
}

/** SHA-256 of bytes, lower-case hex. */
export function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}

/** One SHA-256 for several files: of one its own, of more that of theirs, a line each. */
export function joinedSha256(hashes: readonly string[]): string {
  return hashes.length === 1 ? hashes[0]! : sha256(hashes.map((one) => `${one}\n`).join(''))
}

/** SHA-256 of a file, streamed: memory stays constant whatever its size. */
export async function sha256File(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

/** The file's text, or null when it does not exist. Other failures throw. */
export async function readTextIfExists(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw explainReading(cause, path)
  }
}

/** Turns the operating system's failures that a user can mend into a UserError; anything else is returned as is. */
export function explain(cause: unknown, path: string): unknown {
  const code = (cause as NodeJS.ErrnoException).code
  const advice: Record<string, string> = {
    ENOSPC: 'The disk is full. Free some space and run the same command again; finished work is kept.',
    EDQUOT:
      'Your disk quota is used up. Free some space and run the same command again; finished work is kept.',
    EACCES: 'Permission denied. Choose a folder you may write to, or change its permissions.',
    EROFS: 'The file system is read-only. Choose another folder with --out or --run-dir.',
    ENOTDIR: 'A part of this path is a file, not a folder.',
    EISDIR: 'This is a folder; a file was expected.',
    ENOENT: 'No such file or folder. Check the path.',
    ENAMETOOLONG: 'The name is longer than the file system takes. Check the path.',
    ELOOP: 'The links on this path lead in a circle. Mend or remove them.',
    EPERM: 'The system does not permit this. Choose another folder, or change its permissions.',
    EIO: 'The disk cannot be read or written here. Check it, then run the same command again.',
  }
  if (code === undefined || advice[code] === undefined) return cause
  return new UserError(`${advice[code]}\n  at: ${shortPath(path)}`, { cause })
}

/** `explain` for a file that was to be read. */
export function explainReading(cause: unknown, path: string): unknown {
  const { code } = cause as NodeJS.ErrnoException
  if (code !== 'EACCES' && code !== 'EPERM') return explain(cause, path)
  return new UserError(
    `Permission denied: this file may not be read.\n  at: ${shortPath(path)}\n` +
      '  do: change its permissions or those of its folder (chmod), or run as a user who may read it.',
    { cause },
  )
}

/** A path for a message: of more than 200 characters the middle is left out, as its end names the file. */
export function shortPath(path: string): string {
  return path.length <= 200 ? path : `${path.slice(0, 119)}…${path.slice(-80)}`
}

/** What tells a changed file from an unchanged one without reading it. */
export interface FileStamp {
  size: number
  /** Nanoseconds since 1970, as text: beyond what a number holds exactly. */
  mtime_ns: string
}

/** The file's stamp, or null when there is no such file. */
export async function stampFile(path: string): Promise<FileStamp | null> {
  try {
    const found = await stat(path, { bigint: true })
    return found.isFile() ? { size: Number(found.size), mtime_ns: String(found.mtimeNs) } : null
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ENOTDIR') return null
    throw explainReading(cause, path)
  }
}

/** A file's bytes. */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw explainReading(cause, path)
  }
}

/** At most the first `length` bytes of a file. */
export async function readStart(path: string, length: number): Promise<Uint8Array> {
  try {
    await using file = await open(path)
    const bytes = new Uint8Array(length)
    const { bytesRead } = await file.read(bytes, 0, length, 0)
    return bytes.subarray(0, bytesRead)
  } catch (cause) {
    throw explainReading(cause, path)
  }
}

/** Names in a folder, sorted; empty when the folder does not exist. */
export async function listFolder(path: string): Promise<string[]> {
  try {
    return (await readdir(path)).sort()
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw explain(cause, path)
  }
}

/**
 * Makes a folder and those above it. `isPrivate`: readable by its owner only (mode 0700), those above as usual.
 *
 * One mkdir a level: Node's recursive one never ends where a folder that exists answers ENOENT, as /proc does.
 *
 * @throws {UserError} when one of them cannot be made
 */
export async function makeFolder(path: string, options: { isPrivate?: boolean } = {}): Promise<void> {
  const whole = resolve(path)
  const missing: string[] = []
  for (let at = whole; !(await isFolder(at)); at = dirname(at)) missing.unshift(at)
  for (const at of missing) {
    try {
      await mkdir(at, options.isPrivate && at === whole ? { mode: 0o700 } : {})
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException
      if (code === 'EEXIST' && (await isFolder(at))) continue // another process was faster
      if (code === 'ENOENT' && (await isFolder(dirname(at))))
        throw new UserError(`No folder can be made here. Choose another one.\n  at: ${at}`, { cause })
      throw explain(code === 'EEXIST' ? Object.assign(new Error(), { code: 'ENOTDIR' }) : cause, at)
    }
  }
}

/** False when there is none, or a file in its place or above it. */
async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if ((code === 'ENOENT' || code === 'ENOTDIR') && dirname(path) !== path) return false
    throw explain(cause, path)
  }
}

/** Removes a file or a whole folder; nothing happens when it does not exist. */
export async function removeAll(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true }).catch((cause) => Promise.reject(explain(cause, path)))
}

/** Renames within one file system. */
export async function move(from: string, to: string): Promise<void> {
  await rename(from, to).catch((cause) => Promise.reject(explain(cause, to)))
}

/** The same file under a second name: a hard link, or a whole copy where the file system has none. */
export async function linkOrCopy(from: string, to: string): Promise<void> {
  const temporary = `${to}.${randomBytes(6).toString('hex')}.tmp`
  try {
    await link(from, temporary).catch(() => copyFile(from, temporary))
    await rename(temporary, to)
  } catch (cause) {
    throw explain(cause, to)
  } finally {
    await rm(temporary, { force: true }) // still there after renaming a link onto a link of the same file
  }
}

/** Bytes that may still be written below a folder, or null when the file system does not say. */
export async function freeBytes(path: string): Promise<number | null> {
  for (let at = path; ; at = dirname(at)) {
    try {
      const found = await statfs(at)
      return found.blocks === 0 ? null : found.bavail * found.bsize
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(at) === at) return null
    }
  }
}
