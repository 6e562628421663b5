import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { UserError } from '../schema/errors.ts'
import { explain, makeFolder, readTextIfExists } from '../storage/local.ts'

/** Where what tells who a case is may be kept: the salt, the headers of files. */
export interface PrivateFolder {
  path: string
  /** False: what is there is used, and nothing is written. */
  mayWrite: boolean
}

const SALT_BYTES = 32

/**
 * The salt that names the cases of a folder of sets. It is drawn once, and kept in `salt` (mode 0600); whoever has it can
 * tell whether a case is of a patient that they know of. Without a folder to write to, one for this run alone.
 *
 * @throws {UserError} if the file holds no salt
 */
export async function readSalt(folder: PrivateFolder | undefined): Promise<Buffer> {
  if (folder === undefined) return randomBytes(SALT_BYTES)
  const path = join(folder.path, 'salt')
  for (let attempt = 0; attempt < 50; attempt++) {
    const text = await readTextIfExists(path)
    if (text === null && !folder.mayWrite) return randomBytes(SALT_BYTES)
    if (text === null) {
      await makeFolder(folder.path, { isPrivate: true })
      await writeFile(path, `${randomBytes(SALT_BYTES).toString('hex')}\n`, {
        flag: 'wx',
        mode: 0o600,
      }).catch((cause) => {
        if (cause.code !== 'EEXIST') throw explain(cause, path) // another process was faster
      })
    } else if (/^[0-9a-f]{64}\n$/.test(text)) return Buffer.from(text.trim(), 'hex')
    else if (text.length >= 2 * SALT_BYTES) break
    else await setTimeout(20) // another process is writing it
  }
  throw new UserError(
    `This file should hold the salt of the case ids, 64 hexadecimal digits.\n  at: ${path}\n` +
      '  do: restore it from a copy; or delete it, and every case and patient gets another id.',
  )
}
