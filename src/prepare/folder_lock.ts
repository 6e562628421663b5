import { randomUUID } from 'node:crypto'
import { link, rename, rmdir, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { UserError } from '../schema/errors.ts'
import { explain, listFolder, makeFolder, readTextIfExists, removeAll } from '../storage/local.ts'
import { isProcessAlive, ownMark, type ProcessMark } from '../storage/process_life.ts'

interface Holder extends ProcessMark {
  time: string
  token: string
}

export interface FolderLock extends AsyncDisposable {
  release(): Promise<void>
}

/** A living process is at the work. */
export class FolderHeldError extends UserError {
  override name = 'FolderHeldError'
}

const HEARTBEAT_MS = 15_000
/** Silence after which a holder on another machine counts as dead; its pid cannot be looked up from here. */
const SILENCE_MS = 10 * 60_000
/** After which a lock that cannot be read is no longer being written. */
const TORN_MS = 10_000

/**
 * Takes a lock on work in a folder: a file naming process and machine. A lock whose process is gone is taken over.
 *
 * @param name the share of the work; other shares may be held at once
 * @param excludes names of other shares that may not be held at the same time
 * @throws {FolderHeldError} when a living process holds it, or one that it excludes
 */
export async function lockFolder(
  folder: string,
  name: string,
  excludes: (other: string) => boolean = () => false,
): Promise<FolderLock> {
  const path = join(folder, `${name}.lock`)
  const mine: Holder = {
    ...(await ownMark()),
    time: new Date().toISOString(),
    token: randomUUID(),
  }
  await create(path, mine, folder)
  const release = async () => {
    clearInterval(heartbeat)
    const now = await readHolder(path)
    if (now?.token === mine.token) await removeAll(path)
    await removeHalfMade(folder, name)
    await rmdir(folder).catch(() => {}) // others' locks keep it
  }
  const heartbeat = setInterval(() => {
    const at = new Date()
    utimes(path, at, at).catch(() => {}) // taken over or removed: the next step of the work notices
  }, HEARTBEAT_MS)
  heartbeat.unref()
  try {
    for (const file of await listFolder(folder)) {
      const other = file.endsWith('.lock') ? file.slice(0, -'.lock'.length) : name
      if (other === name || !excludes(other)) continue
      const holder = await readHolder(join(folder, file))
      if (await isAlive(join(folder, file), holder)) throw heldError(folder, holder)
    }
  } catch (error) {
    await release()
    throw error
  }
  return { release, [Symbol.asyncDispose]: release }
}

/**
 * `lockFolder`, waiting for whoever holds it.
 *
 * @returns null when it is still held after `patienceMs`
 */
export async function lockFolderInTurn(
  folder: string,
  name: string,
  patienceMs: number,
): Promise<FolderLock | null> {
  const end = performance.now() + patienceMs
  for (;;) {
    try {
      return await lockFolder(folder, name)
    } catch (error) {
      if (!(error instanceof FolderHeldError)) throw error
      if (performance.now() > end) return null
      await setTimeout(20 + 30 * Math.random())
    }
  }
}

/** What processes killed while they took the lock left; one that is just taking it tries again. */
async function removeHalfMade(folder: string, name: string): Promise<void> {
  for (const file of await listFolder(folder))
    if (file.startsWith(`${name}.lock.`)) await removeAll(join(folder, file))
}

async function create(path: string, mine: Holder, folder: string): Promise<void> {
  for (let attempt = 0; attempt < 5; attempt++) {
    await makeFolder(folder) // each time: whoever released the last lock removed it
    if (await createWhole(path, JSON.stringify(mine))) return
    const holder = await readHolder(path)
    if (await isAlive(path, holder)) throw heldError(folder, holder)
    await setAside(path, holder)
  }
  throw new UserError(`Other processes keep taking the lock ${path}.\n  do: let one of them finish first.`)
}

/** Makes a file with its text in one step, so that nobody reads half a lock. False when the file is there already. */
async function createWhole(path: string, text: string): Promise<boolean> {
  const whole = `${path}.${randomUUID()}`
  try {
    await writeFile(whole, text)
    await link(whole, path)
    return true
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'EEXIST' || code === 'ENOENT') return false
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'ENOSYS') throw explain(cause, path)
  } finally {
    await removeAll(whole)
  }
  // A file system without hard links.
  return writeFile(path, text, { flag: 'wx' }).then(
    () => true,
    (cause) => (cause.code === 'EEXIST' ? false : Promise.reject(explain(cause, path))),
  )
}

/** Removes a dead holder's lock, and only that one: another process may be taking it over at the same moment. */
async function setAside(path: string, dead: Holder | null): Promise<void> {
  const aside = `${path}.${randomUUID()}`
  try {
    await rename(path, aside)
  } catch {
    return
  }
  const found = await readHolder(aside)
  if (found !== null && found.token !== dead?.token) await rename(aside, path)
  else await removeAll(aside)
}

async function readHolder(path: string): Promise<Holder | null> {
  try {
    return JSON.parse((await readTextIfExists(path)) ?? 'null') as Holder | null
  } catch {
    return null // being written, or torn by a full disk
  }
}

async function isAlive(path: string, holder: Holder | null): Promise<boolean> {
  if (holder === null) {
    const torn = await stat(path).catch(() => null)
    return torn !== null && Date.now() - torn.mtimeMs < TORN_MS
  }
  const alive = await isProcessAlive(holder)
  if (alive !== null) return alive
  const touched = await stat(path).catch(() => null)
  return touched !== null && Date.now() - touched.mtimeMs < SILENCE_MS
}

function heldError(folder: string, holder: Holder | null): FolderHeldError {
  const who =
    holder === null ? 'it has only just begun' : `pid ${holder.pid} on ${holder.host}, since ${holder.time}`
  return new FolderHeldError(
    `Another process is preparing this set: ${who}.\n` +
      `  in: ${folder}\n` +
      '  do: wait for it, or choose another folder with --out. A process that died is noticed by itself on the ' +
      'same machine, and after 10 minutes of silence on another.',
  )
}
