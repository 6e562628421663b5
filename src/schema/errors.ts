/**
 * A mistake that the user can mend: printed as its message alone, without a stack trace, exit code 2.
 * The message says what is wrong, where, and what to do.
 */
export class UserError extends Error {
  override name = 'UserError'
  readonly exitCode: number = 2
}

/** The work finished but something needs the user's attention: exit code 3. */
export class AttentionError extends UserError {
  override name = 'AttentionError'
  override readonly exitCode: number = 3
}

/** Stopped by a signal; the same command resumes: exit code 75. */
export class StoppedError extends UserError {
  override name = 'StoppedError'
  override readonly exitCode: number = 75
}

/** A recipe, spec or message that does not fit its schema; lists every mistake with its path. */
export class SchemaError extends UserError {
  override name = 'SchemaError'
}
