import type { Ranking } from './ranking.ts'

export type Point = [number, number]
const MOST_POINTS = 200

/**
 * [1 - specificity, sensitivity] at each distinct score, from [0, 0] to [1, 1]. Corners only: points on a straight
 * line between their neighbours are left out, then the curve is thinned to at most `most` points. Empty when a class
 * is missing.
 */
export function rocPoints(ranking: Ranking, most: number = MOST_POINTS): Point[] {
  if (ranking.positive === 0 || ranking.negative === 0) return []
  const counts = cumulativeCounts(ranking)
  const corners = counts.filter(([fp, tp], i) => {
    const before = counts[i - 1]
    const after = counts[i + 1]
    if (!before || !after) return true
    return (tp - before[1]) * (after[0] - fp) !== (after[1] - tp) * (fp - before[0])
  })
  return thin(
    corners.map(([fp, tp]): Point => [fp / ranking.negative, tp / ranking.positive]),
    most,
  )
}

/**
 * [recall, precision] at each distinct score, by rising recall. Only points that a threshold attains: no invented
 * start at precision 1. Thinned to at most `most`; empty when there is no positive case.
 */
export function precisionRecallPoints(ranking: Ranking, most: number = MOST_POINTS): Point[] {
  if (ranking.positive === 0) return []
  const points = cumulativeCounts(ranking)
    .slice(1)
    .map(([fp, tp]): Point => [tp / ranking.positive, tp / (tp + fp)])
  return thin(points, most)
}

/** [false positives, true positives] before the first and after each run of equal scores. */
function cumulativeCounts(ranking: Ranking): Point[] {
  const counts: Point[] = [[0, 0]]
  let tp = 0
  let fp = 0
  for (const code of ranking.code) {
    if ((code & 1) === 1) tp++
    else fp++
    if ((code & 2) === 2) counts.push([fp, tp])
  }
  return counts
}

/** At most `most` of the points, evenly spaced along the curve's length, first and last kept. */
function thin(points: Point[], most: number): Point[] {
  if (points.length <= most) return points
  const length = [0]
  for (let i = 1; i < points.length; i++) {
    const [x0, y0] = points[i - 1]!
    const [x1, y1] = points[i]!
    length.push(length[i - 1]! + Math.abs(x1 - x0) + Math.abs(y1 - y0))
  }
  const step = length.at(-1)! / (most - 1)
  const kept: Point[] = [points[0]!]
  for (let i = 1; i < points.length - 1; i++) {
    if (length[i]! >= kept.length * step && kept.length < most - 1) kept.push(points[i]!)
  }
  kept.push(points.at(-1)!)
  return kept
}
