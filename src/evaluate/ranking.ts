/**
 * Cases of one label by falling score, packed so that a bootstrap resample is one pass over 32-bit integers:
 * bit 0 is the truth, bit 1 marks the last case of a run of equal scores, the rest is the patient's number.
 */
export interface Ranking {
  code: Int32Array
  /** The score of each place, falling. */
  score: Float64Array
  /** First place and the place after the last, of each run of equal scores that holds a positive; then [n, n]. */
  runs: Int32Array
  positive: number
  negative: number
}

/** What a weighted ranking gives. NaN where a class has no weight. */
export interface RankMetrics {
  auroc: number
  average_precision: number
  /** Weight of positives and negatives among the first `cut` places, and in all. */
  tp: number
  fp: number
  positive: number
  negative: number
}

/**
 * Sorts once; every AUROC, average precision, curve and threshold after that reads the order.
 *
 * @param truth 1 present, 0 absent, -1 unknown: left out
 * @param patientOf a patient number per case, below 2^29
 * @param cases case indices to rank; all when absent
 */
export function rank(
  scores: ArrayLike<number>,
  truth: ArrayLike<number>,
  patientOf: ArrayLike<number>,
  cases?: ArrayLike<number>,
): Ranking {
  const known: number[] = []
  const total = cases?.length ?? scores.length
  for (let i = 0; i < total; i++) {
    const at = cases ? cases[i]! : i
    if (truth[at]! >= 0) known.push(at)
  }
  const order = Int32Array.from(known).sort((a, b) => scores[b]! - scores[a]!)
  const n = order.length
  const code = new Int32Array(n)
  const score = new Float64Array(n)
  const runs: number[] = []
  let positive = 0
  let start = 0
  let positiveBefore = 0
  for (let k = 0; k < n; k++) {
    const at = order[k]!
    score[k] = scores[at]!
    const isLast = k === n - 1 || scores[order[k + 1]!] !== scores[at]
    const isPositive = truth[at] === 1 ? 1 : 0
    positive += isPositive
    code[k] = (patientOf[at]! << 2) | (isLast ? 2 : 0) | isPositive
    if (!isLast) continue
    if (positive > positiveBefore) runs.push(start, k + 1)
    start = k + 1
    positiveBefore = positive
  }
  return { code, score, runs: Int32Array.from([...runs, n, n]), positive, negative: n - positive }
}

/** Places, from the top, whose score is at least the threshold: the cases called positive. */
export function placesAtOrAbove(ranking: Ranking, threshold: number): number {
  let low = 0
  let high = ranking.score.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ranking.score[middle]! >= threshold) low = middle + 1
    else high = middle
  }
  return low
}

/**
 * AUROC, average precision and the counts at a cut, each case counting as often as its patient was drawn.
 * One pass, O(cases); sums are of integers, so the result does not depend on the order within ties.
 *
 * @param weights times each patient was drawn
 * @param cut places called positive; a multiple of whole tie runs
 * @param into reused between calls
 */
export function measureRanking(
  ranking: Ranking,
  weights: Uint16Array,
  cut: number,
  into: RankMetrics,
): RankMetrics {
  const { code, runs } = ranking
  const n = code.length
  let positive = 0
  let negative = 0
  let twiceArea = 0
  let precisionSum = 0
  let tp = 0
  let fp = 0
  let k = 0
  for (let r = 0; r < runs.length; r += 2) {
    const start = runs[r]!
    const end = runs[r + 1]!
    // Negatives before the run: most cases, so this loop does nothing but add.
    let passed = 0
    if (k <= cut && cut <= start) {
      for (; k < cut; k++) passed += weights[code[k]! >>> 2]!
      tp = positive
      fp = negative + passed
    }
    for (; k < start; k++) passed += weights[code[k]! >>> 2]!
    twiceArea += passed * 2 * positive
    negative += passed
    let runPositive = 0
    let runNegative = 0
    for (; k < end; k++) {
      const c = code[k]!
      if ((c & 1) === 1) runPositive += weights[c >>> 2]!
      else runNegative += weights[c >>> 2]!
    }
    twiceArea += runNegative * (2 * positive + runPositive)
    positive += runPositive
    negative += runNegative
    if (runPositive > 0) precisionSum += (runPositive * positive) / (positive + negative)
  }
  if (cut >= n) {
    tp = positive
    fp = negative
  }
  into.auroc = twiceArea / (2 * positive * negative)
  into.average_precision = precisionSum / positive
  into.tp = tp
  into.fp = fp
  into.positive = positive
  into.negative = negative
  return into
}

export const emptyRankMetrics = (): RankMetrics => ({
  auroc: Number.NaN,
  average_precision: Number.NaN,
  tp: 0,
  fp: 0,
  positive: 0,
  negative: 0,
})
