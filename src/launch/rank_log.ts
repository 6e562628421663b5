import { appendFile, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type EngineMessage, parseMessage } from '../python/engine.ts'
import { explain, makeFolder, readTextIfExists } from '../storage/local.ts'

const RANK_LOG = /^rank-(\d+)\.log$/

/** Files in `logs/` that belong to one rank. `exit` and `pid` live only while the ranks do. */
export const rankFile = (logsDir: string, rank: number, kind: 'log' | 'exit' | 'pid') =>
  join(logsDir, `rank-${rank}.${kind}`)

/** Heads each rank's log with this start, and clears what an earlier start left about its processes. */
export async function openRankLogs(logsDir: string, ranks: number, now: Date): Promise<void> {
  await makeFolder(logsDir)
  for (let rank = 0; rank < ranks; rank++) {
    await clearRankState(logsDir, rank)
    const path = rankFile(logsDir, rank, 'log')
    const line = `--- rank ${rank} of ${ranks}, ${now.toISOString()}\n`
    await appendFile(path, line).catch((cause) => Promise.reject(explain(cause, path)))
  }
}

export async function clearRankState(logsDir: string, rank: number): Promise<void> {
  await rm(rankFile(logsDir, rank, 'exit'), { force: true })
  await rm(rankFile(logsDir, rank, 'pid'), { force: true })
}

/** A number that a rank's wrapper wrote: its exit code or its process group; null when it has not. */
export async function readRankNumber(
  logsDir: string,
  rank: number,
  kind: 'exit' | 'pid',
): Promise<number | null> {
  const text = await readTextIfExists(rankFile(logsDir, rank, kind))
  return text === null || text.trim() === '' ? null : Number(text)
}

/** The last lines of a rank's log, and the last JSON message among them. */
export async function readRankTail(
  logsDir: string,
  rank: number,
): Promise<{ tail: string[]; last: EngineMessage }> {
  const text = (await readTextIfExists(rankFile(logsDir, rank, 'log'))) ?? ''
  const tail = text.trimEnd().split('\n').slice(-40)
  return { tail, last: tail.map(parseMessage).findLast((m) => m !== null) ?? {} }
}

/** Every rank's log in rank order, lines as they were written. */
export async function readRankLogs(logsDir: string): Promise<{ rank: number; lines: string[] }[]> {
  const names = await readdir(logsDir).catch((cause) => {
    if (cause.code === 'ENOENT') return []
    throw cause
  })
  const ranks = names.flatMap((name) => RANK_LOG.exec(name)?.[1] ?? []).map(Number)
  return Promise.all(
    ranks
      .sort((a, b) => a - b)
      .map(async (rank) => ({
        rank,
        lines: (await readFile(rankFile(logsDir, rank, 'log'), 'utf8')).trimEnd().split('\n'),
      })),
  )
}

/** When any of the files last grew, ms since 1970; 0 when none exists. */
export async function lastWritten(paths: readonly string[]): Promise<number> {
  const times = await Promise.all(
    paths.map((path) =>
      stat(path).then(
        (s) => s.mtimeMs,
        () => 0,
      ),
    ),
  )
  return Math.max(0, ...times)
}
