import { UserError } from '../schema/errors.ts'

/** A file that cannot become a stored tensor: what is wrong with it, and what to do about it. */
export class ImageError extends UserError {
  override name = 'ImageError'
  readonly reason: string
  readonly advice: string

  constructor(reason: string, advice: string, options?: ErrorOptions) {
    super(`${reason}\n  do: ${advice}`, options)
    this.reason = reason
    this.advice = advice
  }
}
