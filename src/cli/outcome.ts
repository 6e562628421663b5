import { UserError } from '../schema/errors.ts'
import { asTyped } from './as_typed.ts'

/** Writes a verb's result to stdout and waits until it has left the process; where it cannot, `main` ends the process. */
export async function deliver(text: string, before: () => void = () => {}): Promise<void> {
  before()
  if (text === '') return
  await new Promise<void>((resolve) =>
    process.stdout.write(`${text}\n`, (error) => {
      if (!error) resolve()
    }),
  )
}

/**
 * Reports a failed verb and says the exit code: the message alone for a user's mistake, the stack for ours. With
 * `json` stdout carries `{ error, exit_code }` and what the error's `result` holds, so that it is one JSON object whatever happens.
 */
export async function reportFailure(error: unknown, { json }: { json: boolean }): Promise<number> {
  if (isWithoutFolder(error))
    error = new UserError('The working directory is gone.\n  do: change to a folder that is there.')
  const exitCode = error instanceof UserError ? error.exitCode : 1
  const message = error instanceof Error ? error.message : String(error)
  if (error instanceof UserError) process.stderr.write(`${asTyped(message)}\n`)
  else {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
    process.stderr.write(
      `${stack}${causes(error)}\n\nThis is a bug in fiducial: please report it with the lines above.\n`,
    )
  }
  if (json) await deliver(JSON.stringify({ ...resultOf(error), error: message, exit_code: exitCode }))
  return exitCode
}

/** Whether the folder that the command was started in has been removed since. */
function isWithoutFolder(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && error.syscall === 'uv_cwd'
}

/** What was reached before the failure, which some errors carry: a stopped training does. */
function resultOf(error: unknown): object {
  const result = error instanceof UserError && 'result' in error ? error.result : undefined
  return typeof result === 'object' && result !== null ? result : {}
}

function causes(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined
  if (cause === undefined) return ''
  return `\nCaused by: ${cause instanceof Error ? cause.stack : String(cause)}${causes(cause)}`
}
