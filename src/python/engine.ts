import { StoppedError, UserError } from '../schema/errors.ts'
import { engineEnvironment, findPython } from './environment.ts'
import { type ProcessExit, runProcess } from './process.ts'

/** Python modules of `engine/fiducial_engine` that can be started. */
export type EngineEntry = 'train' | 'probe' | 'export' | 'predict'
export type EngineMessage = Record<string, unknown>

export interface EngineOptions {
  signal: AbortSignal
  /** Each JSON line of stdout, as it comes. */
  onLine?(message: EngineMessage): void
  /** Each line that the engine writes for a person. */
  onLog?(line: string): void
  env?: NodeJS.ProcessEnv
}

/**
 * Runs `python -m fiducial_engine.<entry>` and gives its last JSON line (`{}` when it prints none).
 *
 * @throws {UserError} what the engine says the user can mend, a missing environment, or a kill for memory
 * @throws {StoppedError} when it was stopped by `signal`
 * @throws {Error} a bug, with the last lines of stderr
 */
export async function runEngine(
  entry: EngineEntry,
  args: readonly string[],
  options: EngineOptions,
): Promise<EngineMessage> {
  const python = await findPython(options.env)
  let last: EngineMessage = {}
  const exit = await runProcess(python, ['-m', `fiducial_engine.${entry}`, ...args], {
    env: engineEnvironment(options.env),
    signal: options.signal,
    onStdout(line) {
      const message = parseMessage(line)
      if (message === null) return options.onLog?.(line)
      last = message
      options.onLine?.(message)
    },
    onStderr: (line) => options.onLog?.(line),
  })
  const failure = explainExit(`fiducial_engine.${entry}`, exit, last, options.signal.aborted)
  if (failure !== null) throw failure
  return last
}

/** A JSON object on one line, or null: libraries may print other text. */
export function parseMessage(line: string): EngineMessage | null {
  if (!line.startsWith('{')) return null
  try {
    const value: unknown = JSON.parse(line)
    return value !== null && typeof value === 'object' ? (value as EngineMessage) : null
  } catch {
    return null
  }
}

/**
 * The error that an engine process's end means, or null for success. Exit codes: 2 the user's mistake, said in
 * `last.error`; 75 stopped and resumable; anything else a bug.
 */
export function explainExit(
  program: string,
  exit: ProcessExit,
  last: EngineMessage,
  wasStopped: boolean,
): Error | null {
  if (exit.code === 0) return null
  const said = typeof last.error === 'string' ? last.error : undefined
  if (exit.code === 2) return new UserError(said ?? exit.tail.join('\n'))
  if (exit.code === 75 || wasStopped) return new StoppedError('Stopped; the same command resumes.')
  if (exit.signal === 'SIGKILL' || exit.code === 137)
    return new UserError(
      `${program} was killed by the system, most likely because memory ran out.\n` +
        '  do: lower train.global_batch (or raise train.accumulate), use a smaller prepare.size, or free memory; ' +
        'the same command resumes.',
    )
  const missing = exit.tail.map((line) => /No module named '?([\w.]+)/.exec(line)?.[1]).find(Boolean)
  if (missing)
    return new UserError(
      `The Python environment lacks the package ${missing}.\n` +
        '  do: run "npm run setup" in the checkout; with FIDUCIAL_PYTHON set, install it there.',
    )
  const how = exit.signal === null ? `exit code ${exit.code}` : `signal ${exit.signal}`
  return new Error(
    `${program} ended with ${how}${said ? `: ${said}` : ''}. Its last lines:\n${exit.tail.join('\n')}`,
  )
}
