import { join } from 'node:path'
import { RUN_FILES } from '../runs/folder.ts'
import type { AgentJob } from './agent.ts'
import { lastWritten, rankFile } from './rank_log.ts'

export interface Watchdog {
  /** True once nothing was written for too long. */
  isHung(): boolean
  /** Aborts then, after the stacks had time to be written. */
  hung: AbortSignal
  /** Names the process groups to end then. */
  watch(groups: () => number[]): void
  stop(): void
}

/** Time for the stacks to be written before the ranks are ended. */
const STACKS_MS = 1_000

export function startWatchdog(job: AgentJob, logsDir: string): Watchdog {
  const controller = new AbortController()
  const started = Date.now()
  const files = [
    join(job.runDir, RUN_FILES.events),
    ...Array.from({ length: job.ranks }, (_, rank) => rankFile(logsDir, rank, 'log')),
  ]
  let groups: () => number[] = () => []
  let isHung = false
  let ending: NodeJS.Timeout | undefined
  const timer = setInterval(
    async () => {
      const last = Math.max(started, await lastWritten(files))
      if (Date.now() - last < job.watchdogSeconds * 1000) return
      clearInterval(timer)
      isHung = true
      // Python's fault handler writes the stacks of all threads to the log on SIGABRT.
      for (const group of groups()) killGroup(group, 'SIGABRT')
      ending = setTimeout(() => controller.abort(), STACKS_MS)
    },
    Math.min(5_000, job.watchdogSeconds * 250),
  )
  return {
    isHung: () => isHung,
    hung: controller.signal,
    watch(current) {
      groups = current
    },
    stop() {
      clearInterval(timer)
      clearTimeout(ending)
    },
  }
}

/** Signals a process group; one that is gone is no error. */
export function killGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
