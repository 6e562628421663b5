import { type ChildProcess, spawn } from 'node:child_process'
import { watch } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(new URL('./prepare_process.ts', import.meta.url))

export interface ProcessOptions {
  root: string
  work: string
  workers: number
  update?: boolean
  /** The set's own folder. */
  out?: string
}

/** Runs prepare in a process of its own, to its end. */
export async function prepareInProcess(
  options: ProcessOptions,
): Promise<{ seconds: number; changes: number }> {
  const start = performance.now()
  const { child, changes, ended } = await startWatched(options)
  let stderr = ''
  child.stderr?.on('data', (chunk) => {
    stderr += chunk
  })
  const { code, signal } = await ended
  if (code !== 0) throw new Error(`prepare ended with ${code ?? signal}: ${stderr}`)
  return { seconds: (performance.now() - start) / 1000, changes: changes() }
}

/**
 * Starts prepare and kills it with SIGKILL at the `at`-th change that it makes to a file or folder: the process alone,
 * as the kernel does when memory runs out, or its whole group with all workers.
 *
 * @returns whether it was killed before it ended by itself
 */
export async function killPrepare(
  options: ProcessOptions,
  at: number,
  whom: 'process' | 'group',
): Promise<boolean> {
  const { child, changes, ended, onChange } = await startWatched(options)
  onChange(() => {
    if (changes() < at || child.exitCode !== null) return
    try {
      process.kill(whom === 'group' ? -child.pid! : child.pid!, 'SIGKILL')
    } catch {} // it ended in this moment
  })
  return (await ended).signal === 'SIGKILL'
}

/**
 * Kills a run at the `at`-th change that is seen, or at an earlier one if it ended before that: how many changes are
 * seen depends on how busy the machine is. Each try starts from `fresh`.
 */
export async function killFresh(
  fresh: () => Promise<ProcessOptions>,
  at: number,
  whom: 'process' | 'group',
): Promise<ProcessOptions> {
  for (let point = at; ; point = Math.max(1, Math.floor(point * 0.9))) {
    const options = await fresh()
    if (await killPrepare(options, point, whom)) return options
  }
}

async function startWatched({ root, work, workers, update, out }: ProcessOptions) {
  await mkdir(join(work, 'prepared'), { recursive: true })
  let count = 0
  let listener = () => {}
  const watcher = watch(join(work, 'prepared'), { recursive: true }, () => {
    count++
    listener()
  })
  watcher.on('error', () => {}) // a folder that went before it could be watched
  const child: ChildProcess = spawn(
    process.execPath,
    [script, root, work, String(workers), update ? 'update' : 'new', ...(out ? [out] : [])],
    { detached: true, stdio: ['ignore', 'ignore', 'pipe'] },
  )
  const ended = new Promise<{ code: number | null; signal: string | null }>((resolve) =>
    child.once('exit', (code, signal) => {
      watcher.close()
      resolve({ code, signal })
    }),
  )
  return { child, ended, changes: () => count, onChange: (call: () => void) => (listener = call) }
}
