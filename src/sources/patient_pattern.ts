import { UserError } from '../schema/errors.ts'
import { firstFew } from './source_data.ts'

/**
 * Patient ids by a regular expression whose first group that takes part is the id; null where it does not match.
 *
 * @param texts what it is matched against: paths, or a column's cells
 * @param key the recipe's key that holds it, for messages
 * @throws {UserError} when it is no expression, has no group, or matches nothing
 */
export function patientPattern(
  pattern: string,
  texts: readonly string[],
  key: string,
  warnings: string[],
): (string | null)[] {
  let expression: RegExp
  let groups: number
  try {
    expression = new RegExp(pattern, 'u')
    groups = new RegExp(`${pattern}|`, 'u').exec('')!.length - 1
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause
    throw new UserError(`${key} is not a regular expression: ${cause.message}`, { cause })
  }
  if (groups === 0)
    throw new UserError(
      `${key}: ${pattern} has no group, so nothing says which part is the patient id.\n  do: put parentheses around that part, e.g. '(patient\\d+)'.`,
    )
  const patients = texts.map(
    (text) =>
      expression
        .exec(text)
        ?.slice(1)
        .find((group) => group) ?? null,
  )
  const unmatched = texts.filter((_, i) => patients[i] === null)
  if (unmatched.length === texts.length && texts.length > 0)
    throw new UserError(
      `${key}: ${pattern} matches none of ${texts.length}, e.g. ${firstFew(texts, 3)}.\n  do: mend the expression, or drop it.`,
    )
  if (unmatched.length > 0)
    warnings.push(
      `${key} matches all but ${unmatched.length} of ${texts.length}; each of those counts as its own patient: ${firstFew(unmatched)}.`,
    )
  return patients
}
