import type { SegmentEvaluation } from '../schema/evaluation_segment.ts'

export type SegmentCaseKind = 'worst' | 'median' | 'best'
export interface ChosenSegmentCase {
  case_id: string
  kind: SegmentCaseKind
  /** Mean over the labels that are in either mask of the case. */
  dice: number
}

const MOST_OF_A_KIND = 3

/**
 * Cases worth looking at, by the mean Dice of their labels: the worst, those around the median and the best, each kind
 * from the worst on. Cases without any label in either mask are left out; of few cases none is shown twice.
 */
export function chooseSegmentCases({ per_case }: SegmentEvaluation): ChosenSegmentCase[] {
  const ranked = rankedCases(per_case)
  const n = ranked.length
  const most = Math.min(MOST_OF_A_KIND, Math.ceil(n / 3))
  const numBest = Math.min(most, n - most)
  const middle = ranked.slice(most, n - numBest)
  const from = Math.max(0, Math.floor((middle.length - most) / 2))
  const as = (kind: SegmentCaseKind) => (one: { case_id: string; dice: number }) => ({ ...one, kind })
  return [
    ...ranked.slice(0, most).map(as('worst')),
    ...middle.slice(from, from + most).map(as('median')),
    ...ranked.slice(n - numBest).map(as('best')),
  ]
}

/** Cases with the mean Dice of their labels, the worst first. */
export function rankedCases(per_case: SegmentEvaluation['per_case']): { case_id: string; dice: number }[] {
  return per_case
    .flatMap(({ case_id, per_label }) => {
      const dice = Object.values(per_label).flatMap((metrics) =>
        metrics.dice === null ? [] : [metrics.dice],
      )
      return dice.length === 0 ? [] : [{ case_id, dice: dice.reduce((a, b) => a + b, 0) / dice.length }]
    })
    .sort((a, b) => a.dice - b.dice || (a.case_id < b.case_id ? -1 : 1))
}
