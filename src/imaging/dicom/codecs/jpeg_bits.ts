import { damaged } from './damaged.ts'

/** A Huffman table: codes of up to 9 bits by lookup, longer ones by their canonical order. */
export interface HuffmanTable {
  /** By the next 9 bits: length << 8 | symbol; 0 where the code is longer or none. */
  fast: Uint16Array
  /** By length: the largest code, -1 for none. */
  largest: Int32Array
  /** By length: what to add to a code for its place in `symbols`. */
  offset: Int32Array
  symbols: Uint8Array
}

/** @param counts codes of length 1 to 16 @see ITU-T T.81, annex C */
export function huffmanTable(counts: Uint8Array, symbols: Uint8Array): HuffmanTable {
  const fast = new Uint16Array(512)
  const largest = new Int32Array(17).fill(-1)
  const offset = new Int32Array(17)
  let code = 0
  let index = 0
  for (let length = 1; length <= 16; length++) {
    const count = counts[length - 1]!
    offset[length] = index - code
    if (code + count > 2 ** length) throw damaged('JPEG', 'a Huffman table has too many codes')
    for (let i = 0; i < count; i++, code++, index++)
      if (length <= FAST) {
        const first = code << (FAST - length)
        fast.fill((length << 8) | symbols[index]!, first, first + (1 << (FAST - length)))
      }
    if (count > 0) largest[length] = code - 1
    code <<= 1
  }
  return { fast, largest, offset, symbols }
}

const FAST = 9

/** Bits of one scan's entropy-coded data, from `at` to the next marker; FF 00 stands for FF. */
export class JpegBits {
  readonly #bytes: Uint8Array
  #at: number
  #buffer = 0
  #count = 0
  /** Zero bits supplied after the end, of which none may be used. */
  #missing = 0

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes
    this.#at = at
  }

  /** Where the next marker is, after the last bits were taken. */
  get position(): number {
    return this.#at
  }

  /** One symbol. @throws {ImageError} if no code matches or the data ends */
  symbol(table: HuffmanTable): number {
    this.#fill()
    const next16 = (this.#buffer >>> (this.#count - 16)) & 0xffff
    const hit = table.fast[next16 >> 7]!
    if (hit !== 0) {
      this.#take(hit >> 8)
      return hit & 0xff
    }
    for (let length = FAST + 1; length <= 16; length++) {
      const code = next16 >> (16 - length)
      if (code > table.largest[length]!) continue
      this.#take(length)
      return table.symbols[code + table.offset[length]!] ?? 0
    }
    throw damaged('JPEG', 'its compressed data is broken (no such Huffman code)')
  }

  /** A number of `size` bits, up to 16, in the signed form of T.81, F.2.2.1. */
  signed(size: number): number {
    if (size === 0) return 0
    this.#fill()
    const value = (this.#buffer >>> (this.#count - size)) & ((1 << size) - 1)
    this.#take(size)
    return value < 1 << (size - 1) ? value - (1 << size) + 1 : value
  }

  /** Skips to after the restart marker. @throws {ImageError} if none is there */
  restart(): void {
    this.#buffer = 0
    this.#count = 0
    this.#missing = 0
    // Any number of FF may fill up before a marker.
    while (this.#bytes[this.#at + 1] === 0xff) this.#at++
    const marker = this.#bytes[this.#at + 1] ?? 0
    if (this.#bytes[this.#at] !== 0xff || marker < 0xd0 || marker > 0xd7)
      throw damaged('JPEG', 'its compressed data is broken (no restart marker)')
    this.#at += 2
  }

  /** At least 16 bits in the buffer. */
  #fill(): void {
    while (this.#count < 16) {
      let byte = this.#bytes[this.#at]
      if (byte === undefined || (byte === 0xff && this.#bytes[this.#at + 1] !== 0)) {
        byte = 0
        this.#missing += 8
      } else this.#at += byte === 0xff ? 2 : 1
      // At most 23 bits stay below: the oldest fall out at the top.
      this.#buffer = (this.#buffer << 8) | byte
      this.#count += 8
    }
  }

  #take(length: number): void {
    this.#count -= length
    if (this.#count < this.#missing) throw damaged('JPEG', 'its compressed data ends too early')
  }
}
