import { UserError } from '../schema/errors.ts'

/** A metric that these cases leave undefined, or predictions that cannot be measured. */
export class MetricError extends UserError {
  override name = 'MetricError'
}
