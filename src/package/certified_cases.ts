export interface ScoredCase {
  case_id: string
  /** Scores [L]. */
  scores: readonly number[]
}

/**
 * Which validation cases a certificate checks: half of them nearest to a threshold, where a small difference would
 * turn a decision, the rest spread evenly over all cases by name. Deterministic; in the order of the cases given.
 *
 * @param thresholds [L], null where a label has no operating point
 */
export function chooseCertifiedCases<T extends ScoredCase>(
  cases: readonly T[],
  thresholds: readonly (number | null)[],
  most: number,
): T[] {
  if (cases.length <= most) return [...cases]
  const distance = ({ scores }: ScoredCase) =>
    Math.min(
      ...scores.map((score, l) =>
        thresholds[l] == null ? Number.POSITIVE_INFINITY : Math.abs(score - thresholds[l]),
      ),
    )
  const byName = [...cases].sort((a, b) => (a.case_id < b.case_id ? -1 : 1))
  const nearest = byName
    .map((one) => [distance(one), one] as const)
    .filter(([d]) => Number.isFinite(d))
    .sort(([a], [b]) => a - b)
    .slice(0, Math.ceil(most / 2))
    .map(([, one]) => one)
  const chosen = new Set<T>(nearest)
  const rest = byName.filter((one) => !chosen.has(one))
  const wanted = most - chosen.size
  for (let i = 0; i < wanted; i++) chosen.add(rest[Math.floor((i * rest.length) / wanted)]!)
  return cases.filter((one) => chosen.has(one))
}
