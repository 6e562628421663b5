import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'

export interface ProcessOptions {
  env: NodeJS.ProcessEnv
  /** Aborting it sends SIGTERM, then SIGKILL after the grace. */
  signal: AbortSignal
  /** Time between SIGTERM and SIGKILL. */
  graceSeconds?: number
  onStdout?(line: string): void
  onStderr?(line: string): void
  /** Told the process as soon as it runs. */
  onStart?(child: ChildProcess): void
}

export interface ProcessExit {
  /** Exit status, or null when a signal ended it. */
  code: number | null
  signal: NodeJS.Signals | null
  /** The last lines of stderr. */
  tail: string[]
}

export const GRACE_SECONDS = 60
const TAIL_LINES = 40
/** Time to read what is left in the pipes of a program that has ended. */
const PIPES_MS = 2_000

/**
 * Runs a program to its end in a process group of its own, so that a terminal's Ctrl-C reaches it only as the
 * SIGTERM that is relayed here. The group dies with this process at the latest.
 *
 * stdin is a pipe that stays open: its end tells the program that whoever started it is gone.
 *
 * @throws the spawn's own error (ENOENT, EACCES) when the program cannot be started
 */
export async function runProcess(
  program: string,
  args: readonly string[],
  options: ProcessOptions,
): Promise<ProcessExit> {
  const child = spawn(program, args, {
    env: options.env,
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  })
  const killGroup = () => signalGroup(child, 'SIGKILL')
  let graceTimer: NodeJS.Timeout | undefined
  const stop = () => {
    signalGroup(child, 'SIGTERM')
    graceTimer = setTimeout(killGroup, (options.graceSeconds ?? GRACE_SECONDS) * 1000)
  }
  const tail: string[] = []
  try {
    const exit = new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, signal) => resolve([code, signal]))
      // A process that it left behind may hold its pipes open for ever.
      child.once('exit', (code, signal) => setTimeout(() => resolve([code, signal]), PIPES_MS).unref())
    })
    process.once('exit', killGroup)
    child.stdin.on('error', () => {})
    readLines(child.stdout, (line) => options.onStdout?.(line))
    readLines(child.stderr, (line) => {
      tail.push(line)
      if (tail.length > TAIL_LINES) tail.shift()
      options.onStderr?.(line)
    })
    if (child.pid !== undefined) options.onStart?.(child)
    if (options.signal.aborted) stop()
    else options.signal.addEventListener('abort', stop, { once: true })
    const [code, signal] = await exit
    return { code, signal, tail }
  } finally {
    clearTimeout(graceTimer)
    child.stdout.destroy()
    child.stderr.destroy()
    options.signal.removeEventListener('abort', stop)
    process.off('exit', killGroup)
  }
}

/** Signals the child's whole group; a group that is gone is no error. */
export function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  try {
    process.kill(-child.pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function readLines(stream: Readable, onLine: (line: string) => void): void {
  createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on('line', onLine)
}
