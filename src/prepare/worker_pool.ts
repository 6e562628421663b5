import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { StoppedError, UserError } from '../schema/errors.ts'
import type { StagingPlan } from '../schema/staging.ts'
import type { ShardJob } from './shard_writer.ts'

/** What shards are made with. */
export type MakingPlan = Pick<
  StagingPlan,
  'preprocess' | 'mask_values' | 'mask_labels' | 'brick' | 'deidentified'
>

export interface ToWorker {
  job: ShardJob
  folder: string
  root: string
  plan: MakingPlan
}
export type FromWorker =
  | { kind: 'progress'; cases: number }
  | { kind: 'finished'; name: string; cases: number; peakBytes: number }
  | { kind: 'failed'; message: string; isUser: boolean }

export interface PoolOptions {
  /** Staging folder: `set/shards/` and `private/` are below it. */
  folder: string
  root: string
  plan: MakingPlan
  workers: number
  signal: AbortSignal
  onProgress(cases: number): void
  onShard?(name: string): void
}

const MOST_DEATHS = 2

/**
 * Makes shards in parallel, each by one worker process. A worker that dies is replaced and its shard made again.
 *
 * @returns the largest resident memory that any worker had, in bytes
 * @throws {StoppedError} when aborted; finished shards stay
 * @throws {UserError} when the disk is full, or workers keep dying
 */
export async function makeShards(jobs: readonly ShardJob[], options: PoolOptions): Promise<number> {
  const queue = jobs.map((job) => ({ job, deaths: 0 }))
  const children = new Set<ChildProcess>()
  let peakBytes = 0
  let isOver = false

  async function runWorker(): Promise<void> {
    let child: ChildProcess | null = null
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      options.signal.throwIfAborted()
      child ??= startWorker(children)
      const { job } = next
      const done = await makeOne(
        child,
        { job, folder: options.folder, root: options.root, plan: options.plan },
        options,
      )
      if (isOver) return
      if ('died' in done) {
        child = null
        if (++next.deaths > MOST_DEATHS) throw deathError(job.name, done.died)
        queue.unshift(next)
      } else {
        peakBytes = Math.max(peakBytes, done.peakBytes)
        options.onShard?.(job.name)
      }
    }
    child?.disconnect()
  }

  const killAll = () => children.forEach((child) => void child.kill('SIGKILL'))
  options.signal.addEventListener('abort', killAll)
  try {
    await Promise.all(Array.from({ length: Math.min(options.workers, jobs.length) }, runWorker))
  } catch (error) {
    if (options.signal.aborted)
      throw new StoppedError('Stopped. Finished shards are kept: the same command goes on from there.')
    throw error
  } finally {
    options.signal.removeEventListener('abort', killAll)
    isOver = true
    killAll()
  }
  return peakBytes
}

type Outcome = { peakBytes: number } | { died: string }

function makeOne(child: ChildProcess, message: ToWorker, options: PoolOptions): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const settle = (end: () => void) => {
      child.off('message', onMessage).off('exit', onExit).off('error', reject)
      end()
    }
    const onMessage = (reply: FromWorker) => {
      if (reply.kind === 'progress') options.onProgress(reply.cases)
      else if (reply.kind === 'finished') {
        options.onProgress(reply.cases)
        settle(() => resolve({ peakBytes: reply.peakBytes }))
      } else settle(() => reject(reply.isUser ? new UserError(reply.message) : new Error(reply.message)))
    }
    const onExit = (code: number | null, signal: string | null) =>
      settle(() =>
        options.signal.aborted
          ? reject(options.signal.reason)
          : resolve({ died: signal ?? `exit code ${code}` }),
      )
    child.on('message', onMessage).on('exit', onExit).on('error', reject)
    if (child.exitCode !== null || child.signalCode !== null) return onExit(child.exitCode, child.signalCode)
    child.send(message, (error) => {
      // A channel that is closed belongs to a worker that is just dying: its exit follows.
      const { code } = (error ?? {}) as NodeJS.ErrnoException
      if (error && code !== 'EPIPE' && code !== 'ERR_IPC_CHANNEL_CLOSED') settle(() => reject(error))
    })
  })
}

function startWorker(children: Set<ChildProcess>): ChildProcess {
  // As this file's own: .ts in the checkout, .js in the published package.
  const url = new URL(`./shard_worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)
  const child = fork(fileURLToPath(url), [], {
    execArgv: ['--expose-gc'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: {
      ...process.env,
      // A worker is one core: its decoder gets two threads, and the C library as many memory pools.
      UV_THREADPOOL_SIZE: '2',
      VIPS_CONCURRENCY: '1',
      MALLOC_ARENA_MAX: '2',
      MALLOC_MMAP_THRESHOLD_: '1048576', // larger pieces go back to the system when freed
    },
  })
  children.add(child)
  child.on('exit', () => children.delete(child))
  return child
}

function deathError(shard: string, how: string): UserError {
  return new UserError(
    `A worker died ${MOST_DEATHS + 1} times on shard ${shard} (${how}).\n` +
      '  do: if the machine ran out of memory, use fewer --workers; then run the same command again; ' +
      'finished shards are kept.',
  )
}
