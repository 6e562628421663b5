import { damaged } from './damaged.ts'

/** Bits of one scan of JPEG-LS, up to the next marker: after FF, a byte holds 7 bits. @see ISO/IEC 14495-1, A.1 */
export class JpegLsBits {
  readonly #bytes: Uint8Array
  #at: number
  #buffer = 0
  #count = 0
  /** Zero bits supplied after the end, of which none may be used. */
  #missing = 0
  #followsFf = false

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes
    this.#at = at
  }

  /** Where the next marker is, once the last sample was taken. */
  get position(): number {
    // A last FF has a byte of padding after it, which no sample asked for.
    return this.#followsFf && this.#bytes[this.#at]! < 0x80 ? this.#at + 1 : this.#at
  }

  bit(): number {
    return this.bits(1)
  }

  /** An unsigned number of up to 16 bits. */
  bits(length: number): number {
    if (length === 0) return 0
    this.#fill()
    const value = (this.#buffer >>> (this.#count - length)) & ((1 << length) - 1)
    this.#take(length)
    return value
  }

  /** A Golomb code of parameter k: zeros are counted up to the limit, then `escapeBits` follow. */
  golomb(k: number, limit: number, escapeBits: number): number {
    const longest = limit - escapeBits - 1
    const zeros = this.#zeros(longest)
    if (zeros >= longest) return this.bits(escapeBits) + 1
    return zeros * 2 ** k + this.bits(k)
  }

  /** Zeros before the next one, which is taken too. */
  #zeros(longest: number): number {
    let zeros = 0
    for (;;) {
      this.#fill()
      const left = this.#buffer << (32 - this.#count)
      const run = Math.min(Math.clz32(left), this.#count)
      zeros += run
      if (zeros > longest) throw damaged('JPEG-LS', 'its compressed data is broken (a code is too long)')
      if (run < this.#count) {
        this.#take(run + 1)
        return zeros
      }
      this.#take(run)
    }
  }

  /** At least 16 bits in the buffer. */
  #fill(): void {
    while (this.#count < 16) {
      const byte = this.#bytes[this.#at]
      const next = this.#bytes[this.#at + 1]
      const isEnd =
        byte === undefined ||
        (this.#followsFf && byte >= 0x80) ||
        (byte === 0xff && (next === undefined || next >= 0x80))
      const length = this.#followsFf ? 7 : 8
      if (isEnd) this.#missing += length
      else this.#at++
      this.#buffer = (this.#buffer << length) | (isEnd ? 0 : byte)
      this.#count += length
      this.#followsFf = !isEnd && byte === 0xff
    }
  }

  #take(length: number): void {
    this.#count -= length
    if (this.#count < this.#missing) throw damaged('JPEG-LS', 'its compressed data ends too early')
  }
}
