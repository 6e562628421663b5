import { UserError } from '../schema/errors.ts'

/** Of a run only `evaluate` can still be changed: everything else has shaped its weights. */
export function evaluateOverrides(overrides: readonly string[]): readonly string[] {
  const other = overrides.find((override) => !override.startsWith('evaluate.'))
  if (other === undefined) return overrides
  throw new UserError(`--set ${other}: of a finished run only evaluate.* can be set.`)
}
