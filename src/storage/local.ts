import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { UserError } from '../schema/errors.ts'

/**
 * Writes a file whole or not at all: a temporary neighbour is flushed to disk, then renamed over the target.
 *
 * @throws {UserError} when the disk is full or the folder cannot be written; the old file is then untouched
 */
export async function writeAtomic(path: string, data: string | Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true }).catch((cause) => Promise.reject(explain(cause, path)))
  const temporary = join(dirname(path), `.${randomBytes(6).toString('hex')}.tmp`)
  try {
    const file = await open(temporary, 'wx')
    try {
      await file.writeFile(data)
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
    throw explain(cause, path)
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
  }
  if (code === undefined || advice[code] === undefined) return cause
  return new UserError(`${advice[code]}\n  at: ${path}`, { cause })
}
