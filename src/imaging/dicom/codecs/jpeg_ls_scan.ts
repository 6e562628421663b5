import { damaged } from './damaged.ts'
import { JpegLsBits } from './jpeg_ls_bits.ts'

/** What a scan's coding depends on. @see ISO/IEC 14495-1, C.2.4.1 */
export interface JpegLsParameters {
  maxval: number
  near: number
  thresholds: readonly [number, number, number]
  reset: number
}

/**
 * Decodes the samples of one scan, line by line.
 *
 * @see ISO/IEC 14495-1, annex A; variable names follow it
 */
export class JpegLsScan {
  readonly #bits: JpegLsBits
  readonly #p: JpegLsParameters
  readonly #range: number
  readonly #qbpp: number
  readonly #limit: number
  /** Contexts 0 to 364 of regular mode; 365 and 366 of interrupted runs. */
  readonly #a: Int32Array
  readonly #b = new Int32Array(365)
  readonly #c = new Int32Array(365)
  readonly #n = new Int32Array(367).fill(1)
  /** Negative errors of interrupted runs. */
  readonly #nn = new Int32Array(2)
  /** Quantized gradients, by gradient + MAXVAL. */
  readonly #quantized: Int8Array

  constructor(bytes: Uint8Array, at: number, parameters: JpegLsParameters) {
    const { maxval, near } = parameters
    this.#bits = new JpegLsBits(bytes, at)
    this.#p = parameters
    this.#range = near === 0 ? maxval + 1 : Math.floor((maxval + 2 * near) / (2 * near + 1)) + 1
    this.#qbpp = Math.ceil(Math.log2(this.#range))
    const bpp = Math.max(2, Math.ceil(Math.log2(maxval + 1)))
    this.#limit = 2 * (bpp + Math.max(8, bpp))
    this.#a = new Int32Array(367).fill(Math.max(2, (this.#range + 32) >> 6))
    this.#quantized = Int8Array.from({ length: 2 * maxval + 1 }, (_, i) => quantize(i - maxval, parameters))
  }

  /** Where the scan ended. */
  get position(): number {
    return this.#bits.position
  }

  /**
   * One line of components that are coded together, sample by sample.
   *
   * @param lines of each component, the one above and this one: [1, width] are samples, and 0 and width + 1 neighbours
   *   beyond the edges, which are set here
   * @param runIndex as the last line left it
   * @returns the run index for the next line
   */
  line(
    lines: readonly { above: Int32Array; current: Int32Array }[],
    width: number,
    runIndex: number,
  ): number {
    for (const { above, current } of lines) {
      above[width + 1] = above[width]!
      current[0] = above[1]!
    }
    let index = runIndex
    for (let x = 1; x <= width; ) {
      if (lines.every((line) => this.#isFlat(line, x))) {
        const run = this.#run(lines, x, width, index)
        x = run.x
        index = run.index
      } else {
        for (const line of lines) this.#regular(line, x)
        x++
      }
    }
    return index
  }

  #isFlat({ above, current }: { above: Int32Array; current: Int32Array }, x: number): boolean {
    const { near } = this.#p
    const rb = above[x]!
    const rc = above[x - 1]!
    return (
      Math.abs(above[x + 1]! - rb) <= near &&
      Math.abs(rb - rc) <= near &&
      Math.abs(rc - current[x - 1]!) <= near
    )
  }

  #regular({ above, current }: { above: Int32Array; current: Int32Array }, x: number): void {
    const { maxval, near, reset } = this.#p
    const ra = current[x - 1]!
    const rb = above[x]!
    const rc = above[x - 1]!
    const gradient = (value: number) => this.#quantized[value + maxval]!
    const context = 81 * gradient(above[x + 1]! - rb) + 9 * gradient(rb - rc) + gradient(rc - ra)
    const sign = context < 0 ? -1 : 1
    const q = context * sign
    const corrected = median(ra, rb, rc) + sign * this.#c[q]!
    const predicted = corrected < 0 ? 0 : corrected > maxval ? maxval : corrected
    const k = this.#parameter(this.#a[q]!, this.#n[q]!)
    const mapped = this.#bits.golomb(k, this.#limit, this.#qbpp)
    const isSwapped = near === 0 && k === 0 && 2 * this.#b[q]! <= -this.#n[q]!
    const half = mapped >> 1
    const error = mapped % 2 === 0 ? (isSwapped ? -half - 1 : half) : isSwapped ? half : -half - 1
    this.#update(q, error, near, reset)
    current[x] = this.#reconstructed(predicted, sign * error)
  }

  #update(q: number, error: number, near: number, reset: number): void {
    let b = this.#b[q]! + error * (2 * near + 1)
    this.#a[q]! += Math.abs(error)
    if (this.#n[q] === reset) {
      this.#a[q]! >>= 1
      b = b >= 0 ? b >> 1 : -((1 - b) >> 1)
      this.#n[q]! >>= 1
    }
    this.#n[q]!++
    const n = this.#n[q]!
    if (b <= -n) {
      b = Math.max(b + n, -n + 1)
      if (this.#c[q]! > -128) this.#c[q]!--
    } else if (b > 0) {
      b = Math.min(b - n, 0)
      if (this.#c[q]! < 127) this.#c[q]!++
    }
    this.#b[q] = b
  }

  /** A run from x on, and the sample that ends it if the line does not. */
  #run(
    lines: readonly { above: Int32Array; current: Int32Array }[],
    start: number,
    width: number,
    runIndex: number,
  ): { x: number; index: number } {
    let x = start
    let index = runIndex
    const fill = (length: number) => {
      for (const { current } of lines) current.fill(current[start - 1]!, x, x + length)
      x += length
    }
    while (this.#bits.bit() === 1) {
      const full = 1 << J[index]!
      const length = Math.min(full, width + 1 - x)
      fill(length)
      if (length === full && index < 31) index++
      if (x > width) return { x, index }
    }
    const rest = this.#bits.bits(J[index]!)
    // The line cannot end here: its end needs no sample that interrupts the run.
    if (x + rest > width) throw damaged('JPEG-LS', 'its compressed data is broken (a run leaves its line)')
    fill(rest)
    for (const line of lines) this.#interruption(line, x, index, lines.length > 1)
    return { x: x + 1, index: Math.max(0, index - 1) }
  }

  #interruption(
    { above, current }: { above: Int32Array; current: Int32Array },
    x: number,
    runIndex: number,
    isInterleaved: boolean,
  ): void {
    const { near, reset } = this.#p
    const ra = current[x - 1]!
    const rb = above[x]!
    const type = !isInterleaved && Math.abs(ra - rb) <= near ? 1 : 0
    const q = 365 + type
    const k = this.#parameter(this.#a[q]! + (type === 1 ? this.#n[q]! >> 1 : 0), this.#n[q]!)
    const mapped = this.#bits.golomb(k, this.#limit - J[runIndex]! - 1, this.#qbpp)
    const sum = mapped + type
    const isOdd = sum % 2 === 1
    const size = (sum + (isOdd ? 1 : 0)) / 2
    const isNegative = (k !== 0 || 2 * this.#nn[type]! >= this.#n[q]!) === isOdd
    const error = isNegative ? -size : size
    if (error < 0) this.#nn[type]!++
    this.#a[q]! += (mapped + 1 - type) >> 1
    if (this.#n[q] === reset) {
      this.#a[q]! >>= 1
      this.#n[q]! >>= 1
      this.#nn[type]! >>= 1
    }
    this.#n[q]!++
    current[x] =
      type === 1 ? this.#reconstructed(ra, error) : this.#reconstructed(rb, ra > rb ? -error : error)
  }

  /** The Golomb parameter: the smallest k with N·2^k at least A. */
  #parameter(a: number, n: number): number {
    let k = 0
    while (n << k < a)
      if (++k > 16) throw damaged('JPEG-LS', 'its compressed data is broken (errors too large)')
    return k
  }

  #reconstructed(predicted: number, error: number): number {
    const { maxval, near } = this.#p
    const step = 2 * near + 1
    let value = predicted + error * step
    if (value < -near) value += this.#range * step
    else if (value > maxval + near) value -= this.#range * step
    return value < 0 ? 0 : value > maxval ? maxval : value
  }
}

/** By run index: a run has 2^J samples. @see ISO/IEC 14495-1, A.2.1 */
const J = Uint8Array.of(
  ...[0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15],
)

/** The left and the upper neighbour, or the plane through three, whichever is in the middle. */
function median(left: number, above: number, corner: number): number {
  const low = Math.min(left, above)
  const high = Math.max(left, above)
  return corner >= high ? low : corner <= low ? high : left + above - corner
}

function quantize(gradient: number, { near, thresholds: [t1, t2, t3] }: JpegLsParameters): number {
  const size = Math.abs(gradient)
  const level = size <= near ? 0 : size < t1 ? 1 : size < t2 ? 2 : size < t3 ? 3 : 4
  return gradient < 0 ? -level : level
}
