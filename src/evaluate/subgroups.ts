import type { Attributes } from '../schema/case.ts'
import { quantile } from './interval.ts'

export interface Group {
  attribute: string
  value: string
  cases: Int32Array
}

/** An attribute with more distinct words than this is an identifier, not a grouping. */
export const MOST_GROUPS = 20
/** The group of cases without the attribute. */
const MISSING = '(missing)'
/** Numbers with more distinct values than this are cut into quarters. */
const MOST_NUMBERS = 8

/**
 * Cases by the value of an attribute. Numbers with many values (age) are cut at their quartiles; cases without the
 * attribute form the group `(missing)`, which a cell that says `unknown` is not in. Of more than 20 words the 20 most frequent are kept; `dropped` counts the rest.
 */
export function groupsOf(
  predictions: readonly { attributes: Attributes }[],
  attribute: string,
): { groups: Group[]; dropped: number } {
  const values = predictions.map(({ attributes }) => attributes[attribute] ?? null)
  const numbers = values.map(asNumber)
  const isNumeric = numbers.every((n, i) => n !== null || isMissing(values[i]!))
  const name = isNumeric ? numberNames(numbers) : (i: number) => String(values[i])
  const members = new Map<string, number[]>()
  const missing: number[] = []
  for (const [i, value] of values.entries()) {
    const group = isMissing(value) ? missing : (members.get(name(i)) ?? [])
    group.push(i)
    if (!isMissing(value)) members.set(name(i), group)
  }
  const kept = [...members].sort((a, b) => b[1].length - a[1].length).slice(0, MOST_GROUPS)
  kept.sort((a, b) => (isNumeric ? numbers[a[1][0]!]! - numbers[b[1][0]!]! : a[0] < b[0] ? -1 : 1))
  if (missing.length > 0 && members.size > 0) kept.push([MISSING, missing])
  return {
    groups: kept.map(([value, cases]) => ({ attribute, value, cases: Int32Array.from(cases) })),
    dropped: Math.max(0, members.size - MOST_GROUPS),
  }
}

const isMissing = (value: string | number | null): boolean =>
  value === null || value === '' || value === MISSING

function asNumber(value: string | number | null): number | null {
  if (isMissing(value)) return null
  const number = Number(value)
  return Number.isFinite(number) ? number : null
}

/** Few numbers keep their own names; many are named by the quarter they fall into. */
function numberNames(numbers: readonly (number | null)[]): (i: number) => string {
  const sorted = numbers.filter((n): n is number => n !== null).sort((a, b) => a - b)
  if (new Set(sorted).size <= MOST_NUMBERS) return (i) => String(numbers[i])
  const [q1, q2, q3] = [0.25, 0.5, 0.75].map((p) => Number(quantile(sorted, p).toPrecision(6)))
  return (i) => {
    const n = numbers[i]!
    if (n < q1!) return `below ${q1}`
    if (n < q2!) return `${q1} to below ${q2}`
    return n < q3! ? `${q2} to below ${q3}` : `${q3} and above`
  }
}
