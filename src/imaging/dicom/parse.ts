import { ImageError } from '../image_error.ts'
import { DataSet, type Element, vrOf } from './data_set.ts'
import { inflateRaw } from './inflate.ts'
import { isDicomWithoutPreamble, META_START } from './signature.ts'
import { keywordOf, TAGS, tagName } from './tags.ts'
import {
  EXPLICIT_LITTLE_ENDIAN,
  TRANSFER_SYNTAXES,
  type TransferSyntax,
  transferSyntax,
} from './transfer_syntax.ts'
import { isVr, VRS, type Vr } from './vr.ts'

export interface DicomFile {
  transferSyntax: TransferSyntax
  dataSet: DataSet
  /** For a person: what was assumed where the file says nothing or contradicts itself. */
  notes: string[]
}

/** Sequences within sequences; real files stay below 10. */
const MAX_DEPTH = 32
/** Real files stay below a million: frames of an enhanced multi-frame image, points of a structure set's contours. */
const MAX_ELEMENTS = 2 ** 21
const MAX_INFLATED_BYTES = 2 ** 29

/**
 * The data set of a DICOM file: implicit or explicit VR, either byte order, deflated or not, with or without preamble
 * and meta information. Values and pixels stay where they are in `bytes`, which must not change afterwards.
 *
 * @param options `pixels: 'skipped'`: `bytes` need not go on beyond where the pixel data begin; those are there and empty
 * @throws {ImageError} if the file is no DICOM, damaged, cut short (but for its pixel data) or of a transfer syntax
 *   that is not read
 * @see DICOM PS3.5, section 7, and PS3.10, section 7
 */
export function parseDicom(bytes: Uint8Array, options: { pixels?: 'skipped' } = {}): DicomFile {
  const start = metaStart(bytes)
  const meta = readMeta(bytes, start)
  const uid = meta.dataSet.string('TransferSyntaxUID')
  const notes: string[] = []
  const named = uid === null ? null : transferSyntax(uid)
  const body = named?.isDeflated ? inflateRaw(bytes.subarray(meta.end), MAX_INFLATED_BYTES) : bytes
  const from = named?.isDeflated ? 0 : meta.end
  const syntax = settled(named, body, from, notes)
  const parser = new Parser(body, syntax.byteOrder, options)
  return { transferSyntax: syntax, dataSet: parser.dataSet(from, syntax.vr), notes }
}

function metaStart(bytes: Uint8Array): number {
  if (isAt(bytes, 128, 'DICM')) return META_START
  if (isDicomWithoutPreamble(bytes)) return 0
  throw new ImageError(
    'The file is not DICOM: there is no "DICM" after 128 bytes, nor does it start with a DICOM element.',
    'copy or download it again, or leave the case out.',
  )
}

/** Group 0002, always explicit little endian; its stated length is not relied on. */
function readMeta(bytes: Uint8Array, start: number): { dataSet: DataSet; end: number } {
  const parser = new Parser(bytes, 'little-endian')
  return parser.metaInformation(start)
}

/** The file's own word, except where its first element shows that it was written otherwise. */
function settled(
  named: TransferSyntax | null,
  bytes: Uint8Array,
  from: number,
  notes: string[],
): TransferSyntax {
  const looksExplicit = isVr(ascii(bytes, from + 4, 2))
  if (named === null) {
    const isBig = bytes[from] === 0 && (bytes[from + 1] ?? 0) > 0
    notes.push('The DICOM file names no transfer syntax; it was read as uncompressed.')
    if (looksExplicit && isBig) return TRANSFER_SYNTAXES['1.2.840.10008.1.2.2']
    return TRANSFER_SYNTAXES[looksExplicit ? EXPLICIT_LITTLE_ENDIAN : '1.2.840.10008.1.2']
  }
  const vr = looksExplicit ? 'explicit' : 'implicit'
  if (vr === named.vr || bytes.length < from + 8) return named
  notes.push(`The DICOM file says ${named.name}, but its elements are ${vr}; they were read so.`)
  return { ...named, vr }
}

type VrMode = TransferSyntax['vr']

class Parser {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #isLittle: boolean
  readonly #byteOrder: TransferSyntax['byteOrder']
  readonly #isSkippingPixels: boolean
  #numElements = 0
  /** After the last byte that is not 0, once it was looked for. */
  #contentEnd: number | null = null

  constructor(
    bytes: Uint8Array,
    byteOrder: TransferSyntax['byteOrder'],
    options: { pixels?: 'skipped' } = {},
  ) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#isLittle = byteOrder === 'little-endian'
    this.#byteOrder = byteOrder
    this.#isSkippingPixels = options.pixels === 'skipped'
  }

  dataSet(start: number, mode: VrMode): DataSet {
    const out = new DataSet(this.#bytes, this.#byteOrder, null)
    this.#elements(out, start, this.#bytes.length, mode, 0)
    return out
  }

  metaInformation(start: number): { dataSet: DataSet; end: number } {
    const dataSet = new DataSet(this.#bytes, 'little-endian', null)
    let at = start
    while (at + 8 <= this.#bytes.length && this.#view.getUint16(at, true) === 2)
      at = this.#element(dataSet, at, this.#bytes.length, 'explicit', 0)
    return { dataSet, end: at }
  }

  /** Elements from `start` to `end` or to the delimiter of an item; where they ended. */
  #elements(into: DataSet, start: number, end: number, mode: VrMode, depth: number): number {
    let at = start
    while (at + 8 <= end) {
      const tag = this.#tag(at)
      if (tag === ITEM_END) return at + 8
      if (tag === 0 && depth === 0 && this.#isPadding(at)) return end
      if (this.#isSkippingPixels && depth === 0 && PIXELS.has(tag)) {
        into.elements.set(tag, { ...NO_VALUE, offset: at })
        return end
      }
      at = this.#element(into, at, end, mode, depth)
    }
    // Fewer than 8 bytes hold no element; at the end of a file some writers pad.
    if (depth > 0 && at !== end) throw this.#damaged(at, 'an item ends within an element')
    return end
  }

  #element(into: DataSet, at: number, end: number, mode: VrMode, depth: number): number {
    if (++this.#numElements > MAX_ELEMENTS)
      throw this.#damaged(at, `there are more than ${MAX_ELEMENTS} elements`)
    const tag = this.#tag(at)
    if (tag >>> 16 === 0xfffe) throw this.#damaged(at, `${tagName(tag)} stands where an element belongs`)
    const { vr, length, offset } = this.#header(at, tag, mode)
    if (length === UNDEFINED) return this.#undefinedLength(into, { tag, vr, offset, end, mode, depth })
    const available = Math.min(length, end - offset)
    if (available < length && !(PIXELS.has(tag) && depth === 0))
      throw new ImageError(
        `The DICOM file is cut short or damaged: ${tagName(tag)} at byte ${at} claims ${length} bytes, ` +
          `and ${Math.max(0, available)} follow.`,
        'copy or download it again, or leave the case out.',
      )
    const items = this.#definedItems(into, { tag, vr, offset, end: offset + length, mode, depth })
    into.elements.set(tag, { vr, offset, length: available, claimedLength: length, items, fragments: null })
    return offset + available
  }

  #header(at: number, tag: number, mode: VrMode): { vr: Vr; length: number; offset: number } {
    if (mode === 'implicit') {
      const vr = keywordOf(tag) === 'PixelData' ? 'OW' : 'UN'
      return { vr, length: this.#view.getUint32(at + 4, this.#isLittle), offset: at + 8 }
    }
    const letters = ascii(this.#bytes, at + 4, 2)
    if (!/^[A-Z]{2}$/.test(letters))
      throw this.#damaged(at, `${tagName(tag)} has no value representation (${JSON.stringify(letters)})`)
    const vr = vrOf(letters)
    if (!VRS[vr].isLong) return { vr, length: this.#view.getUint16(at + 6, this.#isLittle), offset: at + 8 }
    if (at + 12 > this.#bytes.length) throw this.#damaged(at, 'it ends within an element')
    return { vr, length: this.#view.getUint32(at + 8, this.#isLittle), offset: at + 12 }
  }

  #undefinedLength(into: DataSet, where: Where & { tag: number; vr: Vr }): number {
    const { tag, vr, offset } = where
    const element: Element = { vr, offset, length: 0, claimedLength: 0, items: null, fragments: null }
    if (VRS[vr].kind === 'sequence' || (vr === 'UN' && tag !== TAGS.PixelData[0])) {
      // Within UN everything is implicit, whatever the file is.
      const mode = vr === 'UN' ? 'implicit' : where.mode
      const { items, end } = this.#items(into, { ...where, mode, isDelimited: true })
      into.elements.set(tag, { ...element, items })
      return end
    }
    const { fragments, end } = this.#fragments(offset, where.end)
    const length = fragments.reduce((sum, fragment) => sum + fragment.length, 0)
    into.elements.set(tag, { ...element, length, claimedLength: length, fragments })
    return end
  }

  /** The items of an element of stated length, if it is a sequence. */
  #definedItems(into: DataSet, where: Where & { tag: number; vr: Vr }): DataSet[] | null {
    const { tag, vr, offset, end } = where
    if (VRS[vr].kind === 'sequence') return this.#items(into, { ...where, isDelimited: false }).items
    if (vr !== 'UN' || end - offset < 8 || end > this.#bytes.length || this.#tag(offset) !== ITEM) return null
    const keyword = keywordOf(tag)
    if (keyword !== undefined && TAGS[keyword][1] !== 'SQ') return null
    if (keyword !== undefined)
      return this.#items(into, { ...where, mode: 'implicit', isDelimited: false }).items
    // An element unknown here that begins as a sequence does: it may be one, and nothing is lost if it is not.
    try {
      return this.#items(into, { ...where, mode: 'implicit', isDelimited: false }).items
    } catch (error) {
      if (error instanceof ImageError) return null
      throw error
    }
  }

  #items(into: DataSet, where: Where & { isDelimited: boolean }): { items: DataSet[]; end: number } {
    const { offset, end, mode, depth, isDelimited } = where
    if (depth >= MAX_DEPTH) throw this.#damaged(offset, `sequences nest deeper than ${MAX_DEPTH}`)
    const items: DataSet[] = []
    let at = offset
    while (isDelimited || at < end) {
      if (at + 8 > end) throw this.#damaged(at, 'a sequence does not end')
      const tag = this.#tag(at)
      const length = this.#view.getUint32(at + 4, this.#isLittle)
      at += 8
      if (tag === SEQUENCE_END) return { items, end: at }
      if (tag !== ITEM) throw this.#damaged(at - 8, `${tagName(tag)} stands where an item belongs`)
      if (++this.#numElements > MAX_ELEMENTS)
        throw this.#damaged(at, `there are more than ${MAX_ELEMENTS} items`)
      const item = new DataSet(this.#bytes, this.#byteOrder, into)
      if (length !== UNDEFINED && at + length > end)
        throw this.#damaged(at - 8, `an item claims ${length} bytes, and ${end - at} follow`)
      at = this.#elements(item, at, length === UNDEFINED ? end : at + length, mode, depth + 1)
      items.push(item)
    }
    return { items, end: at }
  }

  /** The items of encapsulated pixel data. A file that is cut short keeps those that are whole. */
  #fragments(offset: number, end: number): { fragments: { offset: number; length: number }[]; end: number } {
    const fragments: { offset: number; length: number }[] = []
    let at = offset
    while (at + 8 <= end) {
      const tag = this.#tag(at)
      const length = this.#view.getUint32(at + 4, this.#isLittle)
      at += 8
      if (tag === SEQUENCE_END) return { fragments, end: at }
      if (tag !== ITEM)
        throw this.#damaged(at - 8, `${tagName(tag)} stands where a fragment of the pixel data belongs`)
      if (at + length > end)
        throw this.#damaged(
          at - 8,
          `a fragment of the pixel data claims ${length} bytes, and ${end - at} follow`,
        )
      fragments.push({ offset: at, length })
      at += length
    }
    throw this.#damaged(at, 'the pixel data does not end')
  }

  #tag(at: number): number {
    return (
      ((this.#view.getUint16(at, this.#isLittle) << 16) | this.#view.getUint16(at + 2, this.#isLittle)) >>> 0
    )
  }

  /** Whether nothing but zeros follows. Looked up once: a file may be zeros nearly throughout. */
  #isPadding(at: number): boolean {
    this.#contentEnd ??= this.#bytes.findLastIndex((byte) => byte !== 0) + 1
    return at >= this.#contentEnd
  }

  #damaged(at: number, what: string): ImageError {
    return new ImageError(
      `The DICOM file is damaged or cut short: at byte ${at} of ${this.#bytes.length}, ${what}.`,
      'copy or download it again, or leave the case out.',
    )
  }
}

interface Where {
  offset: number
  end: number
  mode: VrMode
  depth: number
}

const NO_VALUE: Element = { vr: 'UN', offset: 0, length: 0, claimedLength: 0, items: null, fragments: null }
const UNDEFINED = 0xffffffff
const ITEM = 0xfffee000
const ITEM_END = 0xfffee00d
const SEQUENCE_END = 0xfffee0dd
const PIXELS: ReadonlySet<number> = new Set([
  TAGS.PixelData[0],
  TAGS.FloatPixelData[0],
  TAGS.DoubleFloatPixelData[0],
])

function isAt(bytes: Uint8Array, offset: number, text: string): boolean {
  return ascii(bytes, offset, text.length) === text
}

function ascii(bytes: Uint8Array, offset: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(offset, offset + length))
}
