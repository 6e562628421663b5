import { ImageError } from './image_error.ts'

/** Bounds-checked reads from a file's header; a read past the end means that the file is cut short. */
export class ByteReader {
  readonly bytes: Uint8Array
  readonly #view: DataView
  readonly #what: string
  readonly #littleEndian: boolean

  /** @param what names the file in errors, e.g. 'PNG' */
  constructor(bytes: Uint8Array, what: string, byteOrder: 'little-endian' | 'big-endian') {
    this.bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#what = what
    this.#littleEndian = byteOrder === 'little-endian'
  }

  get length(): number {
    return this.bytes.length
  }

  u8(offset: number): number {
    this.need(offset, 1)
    return this.#view.getUint8(offset)
  }

  u16(offset: number): number {
    this.need(offset, 2)
    return this.#view.getUint16(offset, this.#littleEndian)
  }

  u24le(offset: number): number {
    return this.u8(offset) | (this.u8(offset + 1) << 8) | (this.u8(offset + 2) << 16)
  }

  u32(offset: number): number {
    this.need(offset, 4)
    return this.#view.getUint32(offset, this.#littleEndian)
  }

  /** An unsigned 64-bit integer; beyond 2^53 it is past the end of any file. */
  u64(offset: number): number {
    this.need(offset, 8)
    return Number(this.#view.getBigUint64(offset, this.#littleEndian))
  }

  ascii(offset: number, length: number): string {
    this.need(offset, length)
    return String.fromCharCode(...this.bytes.subarray(offset, offset + length))
  }

  /** @throws {ImageError} unless `length` bytes lie at `offset` */
  need(offset: number, length: number): void {
    if (offset >= 0 && offset + length <= this.length) return
    throw truncated(this.#what, this.length)
  }
}

export function truncated(what: string, length: number): ImageError {
  return new ImageError(
    `The ${what} file is cut short: it ends after ${length} bytes, within its image.`,
    'copy or download it again, or leave the case out.',
  )
}
