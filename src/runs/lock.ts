import { open, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { UserError } from '../schema/errors.ts'
import { RunLock } from '../schema/run.ts'
import { explain, writeAtomic } from '../storage/local.ts'
import { isProcessAlive, ownMark } from '../storage/process_life.ts'
import { RUN_FILES } from './folder.ts'
import { readRecord } from './read_record.ts'

/**
 * Makes this process the writer of a run and gives its generation: one more than the last. A process that still
 * writes with an older generation stops at its next checkpoint.
 *
 * @throws {UserError} when another process on this host is still writing the run
 */
export async function takeLock(runDir: string, now: Date): Promise<number> {
  await using _turn = await takeTurn(runDir)
  const before = await readLock(runDir)
  if (before !== null && before.pid !== process.pid && (await isWriterAlive(before)))
    throw new UserError(
      `Another process is writing this run: process ${before.pid} since ${before.time}.\n` +
        `  in: ${runDir}\n` +
        `  do: wait for it, stop it (kill ${before.pid}), or start another run with --new.`,
    )
  const generation = (before?.generation ?? 0) + 1
  await writeLock(runDir, { generation, ...(await ownMark()), time: now.toISOString() })
  return generation
}

/** Lets one process at a time read and rewrite the lock; a turn older than 10 s was left by a kill. */
async function takeTurn(runDir: string): Promise<AsyncDisposable> {
  const path = join(runDir, `${RUN_FILES.lock}.turn`)
  for (;;) {
    try {
      await (await open(path, 'wx')).close()
      return { [Symbol.asyncDispose]: () => rm(path, { force: true }) }
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw explain(cause, path)
    }
    const age = await stat(path).then(
      (s) => Date.now() - s.mtimeMs,
      () => 0,
    )
    if (age > 10_000) await rm(path, { force: true })
    else await setTimeout(20)
  }
}

/** Gives the run up: the generation stays, the writer is nobody (pid 0). */
export async function releaseLock(runDir: string): Promise<void> {
  const lock = await readLock(runDir)
  if (lock?.pid === process.pid) await writeLock(runDir, { ...lock, pid: 0 })
}

/**
 * @throws {UserError} when the file is damaged
 */
export async function readLock(runDir: string): Promise<RunLock | null> {
  const advice = '  do: see that no training writes this run any more, then delete that file.'
  return readRecord(RunLock, join(runDir, RUN_FILES.lock), advice)
}

/**
 * Whether the lock's process still runs here. Another host cannot be asked: there the generation check before each
 * checkpoint keeps a run from being written twice.
 */
export const isWriterAlive = async (lock: RunLock) => (await isProcessAlive(lock)) === true

const writeLock = (runDir: string, lock: RunLock) =>
  writeAtomic(join(runDir, RUN_FILES.lock), `${JSON.stringify(lock)}\n`)
