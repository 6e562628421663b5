import { rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { explainExit } from '../python/engine.ts'
import { GRACE_SECONDS, type ProcessExit, runProcess } from '../python/process.ts'
import type { AgentJob } from './agent.ts'
import { readRankNumber, readRankTail } from './rank_log.ts'
import { killGroup, type Watchdog } from './watchdog.ts'

/** A killed worker is restarted by torchrun; the agent itself restarts nothing. */
const MAX_RESTARTS = 3
/** torchrun's own files, which it would leave in the system's temporary folder. */
const TORCHRUN_FOLDER = '.torchrun'

/**
 * Keeps a rank's process group and exit code where the agent reads them; torchrun's own exit code tells neither.
 * torchrun fills templates in arguments: `$$$$` arrives as `$$`.
 */
const RANK_WRAPPER = `
logs=$1; shift
echo $$$$ > "$logs/rank-$RANK.pid"
trap : TERM
"$@" >> "$logs/rank-$RANK.log" 2>&1
code=$?
echo $code > "$logs/rank-$RANK.exit"
exit $code`

/**
 * Runs several ranks of this node through torchrun, which restarts all of them when one is killed.
 *
 * @returns the error that their end means, or null
 */
export async function runTorchrun(
  job: AgentJob,
  logsDir: string,
  signal: AbortSignal,
  watchdog: Watchdog,
): Promise<Error | null> {
  const graceSeconds = job.graceSeconds ?? GRACE_SECONDS
  const ranks = Array.from({ length: job.ranks }, (_, rank) => rank)
  const groups = new Map<number, number>()
  const final = new AbortController()
  async function readGroups() {
    for (const rank of ranks) {
      const group = await readRankNumber(logsDir, rank, 'pid')
      if (group !== null) groups.set(rank, group)
    }
  }
  const poll = setInterval(async () => {
    await readGroups()
    for (const rank of ranks) {
      // A rank that ended for good (the user's mistake, or stopped) must not be restarted.
      const code = await readRankNumber(logsDir, rank, 'exit')
      if (code === 2 || code === 75) final.abort()
    }
  }, 250)
  const killRanks = () => {
    for (const group of groups.values()) killGroup(group, 'SIGKILL')
  }
  process.once('exit', killRanks)
  watchdog.watch(() => [...groups.values()])
  let exit: ProcessExit
  try {
    exit = await runProcess(job.python, torchrunArguments(job, logsDir, graceSeconds), {
      env: torchrunEnvironment(job),
      signal: AbortSignal.any([signal, final.signal]),
      // torchrun gives its ranks the grace; it gets a little more itself.
      graceSeconds: graceSeconds + 5,
    })
  } finally {
    await rm(join(logsDir, TORCHRUN_FOLDER), { recursive: true, force: true })
    clearInterval(poll)
    process.off('exit', killRanks)
  }
  if (exit.code === 0) return null
  // torchrun leaves ranks behind when it is killed, or stopped while it starts them: they have sessions of their own.
  await readGroups()
  killRanks()
  return explainRanks(logsDir, ranks, exit, signal.aborted)
}

export function torchrunArguments(job: AgentJob, logsDir: string, graceSeconds: number): string[] {
  return [
    '-m',
    'torch.distributed.run',
    '--standalone',
    '--local-addr=127.0.0.1',
    `--nproc-per-node=${job.ranks}`,
    `--max-restarts=${MAX_RESTARTS}`,
    '--monitor-interval=0.5',
    `--shutdown-timeout=${graceSeconds}`,
    `--log-dir=${join(logsDir, TORCHRUN_FOLDER)}`,
    '--no-python',
    'sh',
    '-c',
    RANK_WRAPPER,
    'rank',
    logsDir,
    ...job.command,
  ]
}

/**
 * Threads are shared out among the ranks. Without TORCH_DISABLE_SHARE_RDZV_TCP_STORE restarts hang now and then
 * (pytorch#135712).
 */
export function torchrunEnvironment(job: AgentJob): NodeJS.ProcessEnv {
  return {
    ...job.env,
    TORCH_DISABLE_SHARE_RDZV_TCP_STORE: '1',
    OMP_NUM_THREADS:
      job.env.OMP_NUM_THREADS ?? String(Math.max(1, Math.floor(availableParallelism() / job.ranks))),
  }
}

/** The error of the rank that explains most: the user's mistake, then a stop, then a kill, then any other end. */
async function explainRanks(
  logsDir: string,
  ranks: readonly number[],
  torchrun: ProcessExit,
  wasStopped: boolean,
): Promise<Error | null> {
  const ends = await Promise.all(
    ranks.map(async (rank) => ({ rank, code: await readRankNumber(logsDir, rank, 'exit') })),
  )
  for (const isIt of [
    (code: number | null) => code === 2,
    (code: number | null) => code === 75,
    (code: number | null) => code === 137,
    (code: number | null) => code !== null && code !== 0 && code < 128,
    (code: number | null) => code !== null && code !== 0,
  ]) {
    const end = ends.find(({ code }) => isIt(code))
    if (end === undefined) continue
    const { tail, last } = await readRankTail(logsDir, end.rank)
    return explainExit(`Rank ${end.rank}`, { code: end.code, signal: null, tail }, last, wasStopped)
  }
  return explainExit('torchrun', torchrun, {}, wasStopped)
}
