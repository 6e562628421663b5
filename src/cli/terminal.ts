import type { Io } from '../verbs/io.ts'
import { asTyped } from './as_typed.ts'

export interface Terminal {
  io: Io
  /** Ends a live progress line, so that what is printed next starts on its own line. */
  endProgress(): void
  /** Stops listening to signals. */
  dispose(): void
}

/** When piped, progress is printed as ordinary lines, at most this often. */
const PIPED_PROGRESS_MS = 10_000

/**
 * The outside world of a verb on a terminal: lines go to stderr, SIGINT and SIGTERM abort `io.signal`; a second
 * one ends the process at once, whatever is pending.
 *
 * @param stopping what is said on the first signal
 */
export function terminalIo({
  quiet,
  stopping = 'Stopping at the next safe point; what is finished is kept.',
}: {
  quiet: boolean
  stopping?: string | undefined
}): Terminal {
  const controller = new AbortController()
  const isTTY = process.stderr.isTTY === true
  let live = false
  let lastPiped = Number.NEGATIVE_INFINITY

  function endProgress() {
    if (live) process.stderr.write('\n')
    live = false
  }
  function log(line: string) {
    if (quiet) return
    if (live) process.stderr.write('\r\x1b[2K')
    live = false
    process.stderr.write(`${asTyped(line)}\n`)
  }
  function progress(line: string) {
    if (quiet) return
    if (isTTY) {
      const width = process.stderr.columns || 80
      process.stderr.write(`\r\x1b[2K${line.length < width ? line : `${line.slice(0, width - 2)}…`}`)
      live = true
    } else if (performance.now() - lastPiped >= PIPED_PROGRESS_MS) {
      lastPiped = performance.now()
      process.stderr.write(`${line}\n`)
    }
  }
  function stop(signal: NodeJS.Signals) {
    if (controller.signal.aborted) process.exit(75)
    endProgress()
    log(`${stopping} ${signal === 'SIGINT' ? 'Ctrl-C' : 'SIGTERM'} again stops at once.`)
    controller.abort(signal)
  }
  process.on('SIGINT', stop).on('SIGTERM', stop)

  return {
    io: { log, progress, signal: controller.signal, now: () => new Date() },
    endProgress,
    dispose() {
      endProgress()
      process.off('SIGINT', stop).off('SIGTERM', stop)
    },
  }
}
