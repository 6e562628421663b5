import { hostname } from 'node:os'
import { readTextIfExists } from './local.ts'

/** What tells one process from every other, also from a later one with the same number. */
export interface ProcessMark {
  /** 0: nobody. */
  pid: number
  host: string
  /** Clock ticks since boot (Linux), or null where the system does not say. No clock that can be set moves it. */
  process_start: string | null
}

/** The mark of this process, for a file that says who is at work. */
export async function ownMark(): Promise<ProcessMark> {
  return { pid: process.pid, host: hostname(), process_start: await processStart(process.pid) }
}

/** Whether a marked process still runs; null when it is on another machine, where it cannot be looked up from here. */
export async function isProcessAlive(mark: ProcessMark): Promise<boolean | null> {
  if (mark.pid === 0) return false // to kill(2), 0 is the caller's own group
  if (mark.host !== hostname()) return null
  try {
    process.kill(mark.pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false // EPERM: somebody else's, but there
  }
  const start = await processStart(mark.pid)
  return start === null || mark.process_start === null || start === mark.process_start
}

/** Field 22 of /proc/<pid>/stat; the fields after the program's name in parentheses begin with the third. */
async function processStart(pid: number): Promise<string | null> {
  const text = await readTextIfExists(`/proc/${pid}/stat`).catch(() => null)
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? null
}
