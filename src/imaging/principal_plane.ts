export type Vector3 = readonly [number, number, number]

/**
 * The two principal axes of points in space, unit vectors, largest variance first. The first points the way that the
 * points lie from the origin.
 *
 * @param points interleaved [N, 3], N at least 1
 */
export function principalPlane(points: Float64Array): [Vector3, Vector3] {
  const { mean, covariance } = moments(points)
  const { values, vectors } = eigenvectors(covariance)
  const order = [0, 1, 2].sort((i, j) => values[j]! - values[i]!)
  const [first, second] = order.map((i) => vectors.map((row) => row[i]!) as unknown as Vector3)
  const towards = first![0] * mean[0]! + first![1] * mean[1]! + first![2] * mean[2]!
  return [towards < 0 ? (first!.map((x) => -x) as unknown as Vector3) : first!, second!]
}

function moments(points: Float64Array): { mean: number[]; covariance: number[][] } {
  const n = points.length / 3
  const mean = [0, 0, 0]
  for (let at = 0; at < points.length; at += 3) for (let c = 0; c < 3; c++) mean[c]! += points[at + c]! / n
  const covariance = [
    [0, 0, 0],
    [0, 0, 0],
    [0, 0, 0],
  ]
  for (let at = 0; at < points.length; at += 3)
    for (let i = 0; i < 3; i++)
      for (let j = 0; j < 3; j++)
        covariance[i]![j]! += ((points[at + i]! - mean[i]!) * (points[at + j]! - mean[j]!)) / n
  return { mean, covariance }
}

/** Cyclic Jacobi for a symmetric 3×3 matrix: columns of `vectors` belong to `values`. Square roots only. */
function eigenvectors(matrix: number[][]): { values: number[]; vectors: number[][] } {
  const a = matrix.map((row) => [...row])
  const v = [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ]
  for (let sweep = 0; sweep < 30; sweep++)
    for (const [p, q] of [
      [0, 1],
      [0, 2],
      [1, 2],
    ] as const) {
      if (a[p]![q] === 0) continue
      const theta = (a[q]![q]! - a[p]![p]!) / (2 * a[p]![q]!)
      const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1))
      const c = 1 / Math.sqrt(t * t + 1)
      const s = t * c
      for (let k = 0; k < 3; k++) rotate(a[k]!, p, q, c, s)
      const [rowP, rowQ] = [a[p]!, a[q]!]
      a[p] = rowP.map((x, k) => c * x - s * rowQ[k]!)
      a[q] = rowP.map((x, k) => s * x + c * rowQ[k]!)
      for (let k = 0; k < 3; k++) rotate(v[k]!, p, q, c, s)
    }
  return { values: [0, 1, 2].map((i) => a[i]![i]!), vectors: v }
}

function rotate(row: number[], p: number, q: number, c: number, s: number): void {
  const [x, y] = [row[p]!, row[q]!]
  row[p] = c * x - s * y
  row[q] = s * x + c * y
}
