import { ImageError } from '../image_error.ts'
import { type Keyword, TAGS, tagName } from './tags.ts'
import { decodeText } from './text.ts'
import { isVr, VRS, type Vr, type VrKind } from './vr.ts'

/** Where an element's value lies in the bytes of its data set. */
export interface Element {
  /** As the file says; 'UN' where it does not (implicit VR). */
  vr: Vr
  offset: number
  /** Bytes there are; fewer than the file claims only for pixel data of a file that is cut short. */
  length: number
  claimedLength: number
  items: DataSet[] | null
  /** Of encapsulated pixel data: the basic offset table first, then the fragments. */
  fragments: { offset: number; length: number }[] | null
}

/** A data set, or an item of a sequence: elements by tag, values read when asked for. */
export class DataSet {
  readonly elements = new Map<number, Element>()
  readonly bytes: Uint8Array
  readonly byteOrder: 'little-endian' | 'big-endian'
  readonly #parent: DataSet | null

  constructor(bytes: Uint8Array, byteOrder: 'little-endian' | 'big-endian', parent: DataSet | null) {
    this.bytes = bytes
    this.byteOrder = byteOrder
    this.#parent = parent
  }

  element(keyword: Keyword): Element | null {
    return this.elements.get(TAGS[keyword][0]) ?? null
  }

  /** Whether the element is there and not empty. */
  has(keyword: Keyword): boolean {
    const element = this.element(keyword)
    return element !== null && (element.length > 0 || (element.items?.length ?? 0) > 0)
  }

  /** The value's bytes, as they lie; empty if the element is missing. */
  raw(keyword: Keyword): Uint8Array {
    const element = this.element(keyword)
    return element === null
      ? new Uint8Array()
      : this.bytes.subarray(element.offset, element.offset + element.length)
  }

  /** The first value of a text, without padding; null if there is none. */
  string(keyword: Keyword): string | null {
    return this.strings(keyword)[0] || null
  }

  /** The values of a text, without padding; none if the element is missing or empty. */
  strings(keyword: Keyword): string[] {
    const raw = this.raw(keyword)
    if (raw.length === 0) return []
    const text = decodeText(raw, this.#characterSet(keyword))
    const values = SINGLE.has(TAGS[keyword][1]) ? [text] : text.split('\\')
    return values.map((value) => value.replace(/^[\s\0]+|[\s\0]+$/g, ''))
  }

  /**
   * The first number; null if the element is missing or empty.
   *
   * @throws {ImageError} if what stands there is no number
   */
  number(keyword: Keyword): number | null {
    return this.numbers(keyword)[0] ?? null
  }

  /** All numbers. @throws {ImageError} as `number` does */
  numbers(keyword: Keyword): number[] {
    const element = this.element(keyword)
    if (element === null || element.length === 0) return []
    const kind = this.#kind(keyword, element)
    if (kind === 'text') return this.#decimals(keyword)
    const read = BINARY[kind]
    if (read === undefined) throw notNumeric(keyword, `has the value representation ${element.vr}`)
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset + element.offset, element.length)
    const out: number[] = []
    for (let at = 0; at + read.size <= element.length; at += read.size)
      out.push(read.value(view, at, this.byteOrder === 'little-endian'))
    return out
  }

  /** An integer of at least `least`; null if missing. @throws {ImageError} if it is anything else */
  integer(keyword: Keyword, least: number): number | null {
    const value = this.number(keyword)
    if (value === null || (Number.isSafeInteger(value) && value >= least)) return value
    throw notNumeric(keyword, `is ${value}, where an integer of at least ${least} belongs`)
  }

  /** Items of a sequence; none if it is missing. */
  items(keyword: Keyword): DataSet[] {
    return this.element(keyword)?.items ?? []
  }

  #decimals(keyword: Keyword): number[] {
    return this.strings(keyword)
      .filter((text) => text !== '')
      .map((text) => {
        const value = Number(text)
        if (!Number.isFinite(value))
          throw notNumeric(keyword, `is ${JSON.stringify(text.slice(0, 32))}, not a number`)
        return value
      })
  }

  /** The file's own value representation where it tells, else the standard's. */
  #kind(keyword: Keyword, element: Element): VrKind {
    const own = VRS[element.vr].kind
    return own === 'bytes' ? VRS[TAGS[keyword][1]].kind : own
  }

  #characterSet(keyword: Keyword): readonly string[] {
    if (!LOCALIZED.has(TAGS[keyword][1])) return []
    for (let at: DataSet | null = this; at !== null; at = at.#parent)
      if (at.has('SpecificCharacterSet')) return at.strings('SpecificCharacterSet')
    return []
  }
}

/** Texts in which a backslash is itself. */
const SINGLE: ReadonlySet<string> = new Set(['LT', 'ST', 'UT', 'UR'])
/** Texts that SpecificCharacterSet is about. */
const LOCALIZED: ReadonlySet<string> = new Set(['LO', 'LT', 'PN', 'SH', 'ST', 'UC', 'UT'])

type Read = { size: number; value: (view: DataView, at: number, isLittle: boolean) => number }
const BINARY: Partial<Record<VrKind, Read>> = {
  uint16: { size: 2, value: (view, at, isLittle) => view.getUint16(at, isLittle) },
  int16: { size: 2, value: (view, at, isLittle) => view.getInt16(at, isLittle) },
  uint32: { size: 4, value: (view, at, isLittle) => view.getUint32(at, isLittle) },
  int32: { size: 4, value: (view, at, isLittle) => view.getInt32(at, isLittle) },
  float32: { size: 4, value: (view, at, isLittle) => view.getFloat32(at, isLittle) },
  float64: { size: 8, value: (view, at, isLittle) => view.getFloat64(at, isLittle) },
  uint64: { size: 8, value: (view, at, isLittle) => Number(view.getBigUint64(at, isLittle)) },
  int64: { size: 8, value: (view, at, isLittle) => Number(view.getBigInt64(at, isLittle)) },
}

function notNumeric(keyword: Keyword, what: string): ImageError {
  return new ImageError(
    `The DICOM element ${tagName(TAGS[keyword][0])} ${what}.`,
    'the file is damaged or was written wrongly: export it again, or leave the case out.',
  )
}

/** The value representation of two letters; an unknown one is read as UN, as the standard asks. */
export function vrOf(text: string): Vr {
  return isVr(text) ? text : 'UN'
}
