import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { type EngineMessage, explainExit, parseMessage } from '../python/engine.ts'
import { GRACE_SECONDS, runProcess } from '../python/process.ts'
import { RUN_FILES } from '../runs/folder.ts'
import { UserError } from '../schema/errors.ts'
import type { LaunchContext } from './launcher.ts'
import { clearRankState, openRankLogs, rankFile } from './rank_log.ts'
import { runTorchrun } from './torchrun.ts'
import { startWatchdog, type Watchdog } from './watchdog.ts'

export interface AgentJob {
  runDir: string
  /** Ranks on this node. */
  ranks: number
  /** Program and arguments of one rank. */
  command: readonly [string, ...string[]]
  /** The Python whose torchrun starts several ranks. */
  python: string
  env: NodeJS.ProcessEnv
  watchdogSeconds: number
  graceSeconds?: number
}

/**
 * Runs one node's ranks to their end: one plainly, several through torchrun. Their output goes to
 * `logs/rank-N.log`. An abort is relayed as SIGTERM; silence of events and logs ends the ranks with their stacks in
 * the log.
 *
 * @throws as `Launcher.launch`
 */
export async function runAgent(job: AgentJob, context: LaunchContext): Promise<void> {
  const logsDir = join(job.runDir, RUN_FILES.logs)
  await openRankLogs(logsDir, job.ranks, new Date())
  const watchdog = startWatchdog(job, logsDir)
  try {
    const signal = AbortSignal.any([context.signal, watchdog.hung])
    const failure =
      job.ranks === 1
        ? await runPlainly(job, logsDir, signal, watchdog, context)
        : await runTorchrun(job, logsDir, signal, watchdog)
    if (watchdog.isHung()) throw hungError(job, logsDir)
    if (failure !== null) throw failure
  } finally {
    watchdog.stop()
    for (let rank = 0; rank < job.ranks; rank++) await clearRankState(logsDir, rank)
  }
}

async function runPlainly(
  job: AgentJob,
  logsDir: string,
  signal: AbortSignal,
  watchdog: Watchdog,
  context: LaunchContext,
): Promise<Error | null> {
  const path = rankFile(logsDir, 0, 'log')
  const log = createWriteStream(path, { flags: 'a' })
  // A full disk ends the training with the engine's own message; a log that stays behind does not.
  log.once('error', (error) => context.log(`Warning: the log ${path} is not written on: ${error.message}`))
  let last: EngineMessage = {}
  const [program, ...args] = job.command
  try {
    const exit = await runProcess(program, args, {
      env: job.env,
      signal,
      graceSeconds: job.graceSeconds ?? GRACE_SECONDS,
      onStart: (child) => watchdog.watch(() => [child.pid!]),
      onStdout(line) {
        last = parseMessage(line) ?? last
        log.write(`${line}\n`)
      },
      onStderr: (line) => log.write(`${line}\n`),
    })
    return explainExit('The training process', exit, last, signal.aborted)
  } finally {
    log.end()
    await finished(log).catch(() => {})
  }
}

function hungError(job: AgentJob, logsDir: string): UserError {
  return new UserError(
    `The training gave no sign of life for ${job.watchdogSeconds} s and was ended.\n` +
      `  where: the stacks at the end of ${join(logsDir, 'rank-*.log')}\n` +
      '  do: run the same command, it resumes; if a step really takes that long, raise launch.watchdog_seconds.',
  )
}
