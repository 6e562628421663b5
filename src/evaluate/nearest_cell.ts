type Triple = readonly [number, number, number]

/** No target in this column. NIfTI-1's axes, of 32767 voxels at most, leave it free. */
const NONE = 0xffff

/**
 * Exact Euclidean distance in mm from each cell of `from` to the nearest of `to`, on a grid of cells.
 *
 * A separable distance transform: along z by counting, then within each plane that has a cell to be asked about, along
 * y and x by lower envelopes of parabolas. Only lines that are asked about are transformed, so the work grows with the
 * surfaces more than with the volume. O(cells of the grid) at most.
 *
 * @param grid [z, y, x], below 65535 along z
 * @param from,to cell indices in rising order, x fastest; Infinity where `to` is empty
 * @see Felzenszwalb & Huttenlocher, Theory of Computing 8 (2012) 415–428
 */
export function nearestCell(
  from: Int32Array,
  to: Int32Array,
  grid: Triple,
  spacing_mm: Triple,
): Float64Array {
  const distances = new Float64Array(from.length).fill(Number.POSITIVE_INFINITY)
  if (to.length === 0 || from.length === 0) return distances
  const [, Y, X] = grid
  const [sz, sy, sx] = spacing_mm
  const columns = columnDistances(to, grid)
  const { lowY, lowX, numY, numX, steps } = columns
  const inY = new Envelope(numY, lowY, sy)
  const inX = new Envelope(numX, lowX, sx)
  const squared = new Float64Array(Y * numX)
  let next = 0
  while (next < from.length) {
    const z = Math.floor(from[next]! / (Y * X))
    const end = firstAtOrAfter(from, next, (z + 1) * Y * X)
    const rows = rowsOf(from, next, end, Y, X)
    for (let x = 0; x < numX; x++) {
      inY.clear()
      for (let y = 0; y < numY; y++) {
        const step = steps[(z * numY + y) * numX + x]!
        if (step !== NONE) inY.add(y, (step * sz) ** 2)
      }
      inY.start()
      for (const { y } of rows) squared[y * numX + x] = inY.at(y)
    }
    for (const { y, start, stop } of rows) {
      inX.clear()
      for (let x = 0; x < numX; x++) inX.add(x, squared[y * numX + x]!)
      inX.start()
      for (let i = start; i < stop; i++) distances[i] = Math.sqrt(inX.at(from[i]! % X))
    }
    next = end
  }
  return distances
}

/** Steps along z to the nearest target in each column, over the y and x that have targets. */
function columnDistances(to: Int32Array, [Z, Y, X]: Triple) {
  let [lowY, highY, lowX, highX] = [Y, -1, X, -1]
  for (const cell of to) {
    const x = cell % X
    const y = Math.floor(cell / X) % Y
    if (x < lowX) lowX = x
    if (x > highX) highX = x
    if (y < lowY) lowY = y
    if (y > highY) highY = y
  }
  const [numY, numX] = [highY - lowY + 1, highX - lowX + 1]
  const plane = numY * numX
  const steps = new Uint16Array(Z * plane).fill(NONE)
  for (const cell of to) {
    const x = cell % X
    const row = Math.floor(cell / X)
    steps[Math.floor(row / Y) * plane + ((row % Y) - lowY) * numX + x - lowX] = 0
  }
  for (let i = plane; i < steps.length; i++) {
    const before = steps[i - plane]!
    if (before < steps[i]!) steps[i] = before + 1
  }
  for (let i = steps.length - plane - 1; i >= 0; i--) {
    const after = steps[i + plane]!
    if (after < steps[i]! - 1) steps[i] = after + 1
  }
  return { lowY, lowX, numY, numX, steps }
}

/**
 * The lower envelope of parabolas, one rooted at each place of a line: what is nearest where.
 */
class Envelope {
  readonly #low: number
  readonly #spacing: number
  /** Of each parabola that reaches the envelope: its place in mm, its height, and from where in mm it is the lowest. */
  readonly #root: Float64Array
  readonly #height: Float64Array
  readonly #from: Float64Array
  #length = 0
  #current = 0

  /** @param low place of the line's first root; places to ask about may lie before it */
  constructor(most: number, low: number, spacing: number) {
    this.#low = low
    this.#spacing = spacing
    this.#root = new Float64Array(most)
    this.#height = new Float64Array(most)
    this.#from = new Float64Array(most)
  }

  clear(): void {
    this.#length = 0
  }

  /** Roots in rising order; one of infinite height is left out. */
  add(place: number, height: number): void {
    if (height === Number.POSITIVE_INFINITY) return
    const root = (place + this.#low) * this.#spacing
    let last = this.#length - 1
    let from = Number.NEGATIVE_INFINITY
    for (; last >= 0; last--) {
      const other = this.#root[last]!
      from = (height - this.#height[last]! + (root - other) * (root + other)) / (2 * (root - other))
      if (from > this.#from[last]!) break
      from = Number.NEGATIVE_INFINITY
    }
    this.#root[last + 1] = root
    this.#height[last + 1] = height
    this.#from[last + 1] = from
    this.#length = last + 2
  }

  start(): void {
    this.#current = 0
  }

  /** Height of the envelope; places must be asked about in rising order since `start`. Infinity without roots. */
  at(place: number): number {
    if (this.#length === 0) return Number.POSITIVE_INFINITY
    const mm = place * this.#spacing
    while (this.#current + 1 < this.#length && this.#from[this.#current + 1]! < mm) this.#current++
    return (mm - this.#root[this.#current]!) ** 2 + this.#height[this.#current]!
  }
}

/** Rows of one plane that have cells, with where those begin and end in the list. */
function rowsOf(cells: Int32Array, start: number, end: number, Y: number, X: number) {
  const rows: { y: number; start: number; stop: number }[] = []
  let i = start
  while (i < end) {
    const row = Math.floor(cells[i]! / X)
    const stop = firstAtOrAfter(cells, i, (row + 1) * X)
    rows.push({ y: row % Y, start: i, stop })
    i = stop
  }
  return rows
}

/** Index of the first cell not below `limit`, from `start` on. */
function firstAtOrAfter(cells: Int32Array, start: number, limit: number): number {
  let i = start
  while (i < cells.length && cells[i]! < limit) i++
  return i
}
