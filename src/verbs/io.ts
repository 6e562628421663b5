/** What a verb may do to the outside besides its files: the command line passes its own, library users theirs. */
export interface Io {
  /** One line for a person, on stderr in the command line. */
  log(line: string): void
  /** Where the work stands; replaces the line before on a terminal, is printed now and then when piped. */
  progress?(line: string): void
  /** Aborted by SIGINT or SIGTERM. Verbs stop at the next safe point and throw StoppedError. */
  signal: AbortSignal
  now(): Date
}

export const quietIo = (): Io => ({
  log: () => {},
  signal: new AbortController().signal,
  now: () => new Date(),
})
