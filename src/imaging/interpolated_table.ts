/**
 * A function by table: straight lines between samples `1 / perUnit` apart; arguments outside low..high are clipped.
 *
 * Engines may differ in the last bit of `Math.log` and `Math.exp`. Samples are kept as 32-bit floats, which rounds
 * that bit away, and what is done with them is exact arithmetic: the same pixels on every platform.
 */
export class InterpolatedTable {
  readonly #low: number
  readonly #high: number
  readonly #perUnit: number
  readonly #samples: Float32Array

  constructor(f: (x: number) => number, low: number, high: number, perUnit: number) {
    this.#low = low
    this.#high = high
    this.#perUnit = perUnit
    // One more than reaches to `high`, so that there is always a next sample.
    this.#samples = new Float32Array(Math.ceil((high - low) * perUnit) + 2)
    for (let i = 0; i < this.#samples.length; i++) this.#samples[i] = f(low + i / perUnit)
  }

  at(x: number): number {
    const clipped = x < this.#low ? this.#low : x > this.#high ? this.#high : x
    const position = (clipped - this.#low) * this.#perUnit
    const index = Math.floor(position)
    const sample = this.#samples[index]!
    return sample + (this.#samples[index + 1]! - sample) * (position - index)
  }
}
