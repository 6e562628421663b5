import { type Keyword, TAGS } from './tags.ts'
import { EXPLICIT_LITTLE_ENDIAN } from './transfer_syntax.ts'
import { VRS, type Vr, type VrKind } from './vr.ts'

/** Values by keyword: texts and numbers, several as an array; bytes as they are; items of a sequence. */
export type DicomAttributes = { readonly [K in Keyword]?: DicomValue }
export type DicomValue =
  | string
  | number
  | Uint8Array
  | readonly (string | number)[]
  | readonly DicomAttributes[]

/**
 * A DICOM file in Explicit VR Little Endian, with preamble and meta information; elements in the order of their tags.
 * Texts are UTF-8 (SpecificCharacterSet is set). PixelData is written as OB for up to 8 bits, as OW beyond.
 *
 * @param attributes SOPClassUID and SOPInstanceUID among them; none of the meta group
 * @param options.vrs types where the standard leaves a choice: `{ PixelPaddingValue: 'SS' }`
 * @throws {RangeError} if a value does not fit its element: that is the caller's mistake
 * @see DICOM PS3.10, section 7
 */
export function writeDicom(
  attributes: DicomAttributes,
  options: { vrs?: { readonly [K in Keyword]?: Vr } } = {},
): Uint8Array {
  const pixels: Vr = Number(attributes.BitsAllocated) <= 8 ? 'OB' : 'OW'
  const vrs = { PixelData: pixels, ...options.vrs }
  const meta = group(
    {
      FileMetaInformationVersion: Uint8Array.of(0, 1),
      MediaStorageSOPClassUID: text(attributes, 'SOPClassUID'),
      MediaStorageSOPInstanceUID: text(attributes, 'SOPInstanceUID'),
      TransferSyntaxUID: EXPLICIT_LITTLE_ENDIAN,
      ImplementationClassUID: IMPLEMENTATION_UID,
      ImplementationVersionName: 'FIDUCIAL',
    },
    {},
  )
  const length = group({ FileMetaInformationGroupLength: meta.length }, {})
  const body = group({ SpecificCharacterSet: 'ISO_IR 192', ...attributes }, vrs)
  return joined([new Uint8Array(128), encoder.encode('DICM'), length, meta, body])
}

/** Made from a random UUID, as PS3.5, B.2 allows: what wrote the file. */
const IMPLEMENTATION_UID = '2.25.58192114491342095504316377782076084890'

type Vrs = { readonly [K in Keyword]?: Vr }

function group(attributes: DicomAttributes, vrs: Vrs): Uint8Array {
  const keywords = (Object.keys(attributes) as Keyword[]).sort((a, b) => TAGS[a][0] - TAGS[b][0])
  return joined(keywords.map((keyword) => element(keyword, attributes[keyword]!, vrs)))
}

function element(keyword: Keyword, value: DicomValue, vrs: Vrs): Uint8Array {
  const [tag, standard] = TAGS[keyword]
  const vr = vrs[keyword] ?? standard
  const body = padded(valueBytes(keyword, vr, value, vrs), vr)
  const { isLong } = VRS[vr]
  if (body.length > (isLong ? 0xfffffffe : 0xfffe))
    throw new RangeError(`${keyword} takes ${body.length} bytes, more than its type ${vr} holds`)
  const out = new Uint8Array((isLong ? 12 : 8) + body.length)
  const view = new DataView(out.buffer)
  view.setUint16(0, tag >>> 16, true)
  view.setUint16(2, tag & 0xffff, true)
  out.set(encoder.encode(vr), 4)
  if (isLong) view.setUint32(8, body.length, true)
  else view.setUint16(6, body.length, true)
  out.set(body, out.length - body.length)
  return out
}

function valueBytes(keyword: Keyword, vr: Vr, value: DicomValue, vrs: Vrs): Uint8Array {
  if (value instanceof Uint8Array) return value
  const values: readonly (string | number | DicomAttributes)[] = Array.isArray(value) ? value : [value]
  const { kind } = VRS[vr]
  if (kind === 'sequence') return joined(values.map((item) => itemBytes(keyword, item, vrs)))
  if (kind === 'text') return encoder.encode(values.map((one) => textOf(keyword, vr, one)).join('\\'))
  return joined(values.map((one) => binary(keyword, kind, one)))
}

function itemBytes(keyword: Keyword, item: string | number | DicomAttributes, vrs: Vrs): Uint8Array {
  if (typeof item !== 'object') throw new RangeError(`${keyword} is a sequence, and ${item} no item of one`)
  const body = group(item, vrs)
  const out = new Uint8Array(8 + body.length)
  const view = new DataView(out.buffer)
  view.setUint16(0, 0xfffe, true)
  view.setUint16(2, 0xe000, true)
  view.setUint32(4, body.length, true)
  out.set(body, 8)
  return out
}

function textOf(keyword: Keyword, vr: Vr, value: string | number | DicomAttributes): string {
  if (typeof value === 'object') throw new RangeError(`${keyword} is a text, and an item stands there`)
  const written = typeof value === 'number' && vr === 'DS' ? decimalString(value) : String(value)
  const limit = LIMITS[vr]
  if (limit !== undefined && written.length > limit)
    throw new RangeError(`${keyword} is "${written}", longer than the ${limit} characters of ${vr}`)
  return written
}

/** Characters that a value may have, of types whose readers rely on it. */
export const LIMITS: { readonly [K in Vr]?: number } = {
  AE: 16,
  CS: 16,
  DS: 16,
  IS: 12,
  SH: 16,
  UI: 64,
  LO: 64,
}

/** A number in the 16 characters of DS, as exactly as they allow. */
export function decimalString(value: number): string {
  if (!Number.isFinite(value)) throw new RangeError(`${value} cannot be written in DICOM`)
  const exact = String(value)
  if (exact.length <= 16) return exact
  for (let digits = 15; digits > 0; digits--) {
    const candidates = [Number(value.toPrecision(digits)).toString(), value.toExponential(digits - 1)]
    const fitting = candidates.find((text) => text.length <= 16)
    if (fitting !== undefined) return fitting
  }
  throw new RangeError(`${value} cannot be written in 16 characters`)
}

const WRITERS: Partial<Record<VrKind, { size: number; set: (view: DataView, value: number) => void }>> = {
  tag: { size: 4, set: (view, value) => view.setUint32(0, ((value << 16) | (value >>> 16)) >>> 0, true) },
  uint16: { size: 2, set: (view, value) => view.setUint16(0, value, true) },
  int16: { size: 2, set: (view, value) => view.setInt16(0, value, true) },
  uint32: { size: 4, set: (view, value) => view.setUint32(0, value, true) },
  int32: { size: 4, set: (view, value) => view.setInt32(0, value, true) },
  float32: { size: 4, set: (view, value) => view.setFloat32(0, value, true) },
  float64: { size: 8, set: (view, value) => view.setFloat64(0, value, true) },
  uint64: { size: 8, set: (view, value) => view.setBigUint64(0, BigInt(value), true) },
  int64: { size: 8, set: (view, value) => view.setBigInt64(0, BigInt(value), true) },
}

const RANGES: Partial<Record<VrKind, readonly [number, number]>> = {
  uint16: [0, 0xffff],
  int16: [-0x8000, 0x7fff],
  uint32: [0, 0xffffffff],
  int32: [-0x80000000, 0x7fffffff],
}

function binary(keyword: Keyword, kind: VrKind, value: string | number | DicomAttributes): Uint8Array {
  const writer = WRITERS[kind]
  if (writer === undefined || typeof value !== 'number')
    throw new RangeError(`${keyword} cannot hold ${JSON.stringify(value)}`)
  const range = RANGES[kind]
  if (range !== undefined && !(Number.isInteger(value) && value >= range[0] && value <= range[1]))
    throw new RangeError(`${keyword} is ${value}, outside ${range[0]} to ${range[1]}`)
  const out = new Uint8Array(writer.size)
  writer.set(new DataView(out.buffer), value)
  return out
}

/** Values have even lengths: UIDs and bytes end in a zero, other texts in a space. */
function padded(body: Uint8Array, vr: Vr): Uint8Array {
  if (body.length % 2 === 0) return body
  const out = new Uint8Array(body.length + 1)
  out.set(body)
  if (VRS[vr].kind === 'text' && vr !== 'UI') out[body.length] = 0x20
  return out
}

function text(attributes: DicomAttributes, keyword: Keyword): string {
  const value = attributes[keyword]
  if (typeof value === 'string' && value !== '') return value
  throw new RangeError(`a DICOM file needs ${keyword}`)
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

const encoder = new TextEncoder()
