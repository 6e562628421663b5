/** Hand-made DICOM bytes: elements in any encoding, for what `writeDicom` never writes. */
export interface Encoding {
  vr: 'explicit' | 'implicit'
  byteOrder: 'little-endian' | 'big-endian'
}

export const EXPLICIT: Encoding = { vr: 'explicit', byteOrder: 'little-endian' }
export const IMPLICIT: Encoding = { vr: 'implicit', byteOrder: 'little-endian' }
export const BIG: Encoding = { vr: 'explicit', byteOrder: 'big-endian' }
export const UNDEFINED_LENGTH = 0xffffffff

const LONG = new Set(['OB', 'OV', 'OW', 'SQ', 'UN', 'UT'])

/** One element; `length` overrides what stands in its header. */
export function element(
  encoding: Encoding,
  tag: number,
  vr: string,
  value: Uint8Array,
  length = value.length,
): Uint8Array {
  const isLittle = encoding.byteOrder === 'little-endian'
  const isLong = encoding.vr === 'implicit' || LONG.has(vr)
  const header = new Uint8Array(encoding.vr === 'implicit' ? 8 : isLong ? 12 : 8)
  const view = new DataView(header.buffer)
  view.setUint16(0, tag >>> 16, isLittle)
  view.setUint16(2, tag & 0xffff, isLittle)
  if (encoding.vr === 'explicit') header.set(new TextEncoder().encode(vr), 4)
  if (isLong) view.setUint32(header.length - 4, length, isLittle)
  else view.setUint16(6, length, isLittle)
  return join(header, value)
}

/** An item, or with FFFE,E00D and FFFE,E0DD a delimiter. */
export function item(
  encoding: Encoding,
  value: Uint8Array,
  length = value.length,
  tag = 0xfffee000,
): Uint8Array {
  return element({ ...encoding, vr: 'implicit' }, tag, '', value, length)
}

export function text(value: string): Uint8Array {
  return new TextEncoder().encode(value.length % 2 === 0 ? value : `${value} `)
}

export function uint16(encoding: Encoding, value: number): Uint8Array {
  const out = new Uint8Array(2)
  new DataView(out.buffer).setUint16(0, value, encoding.byteOrder === 'little-endian')
  return out
}

export function join(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}

/** Preamble, "DICM" and a meta group that names the transfer syntax. */
export function withMeta(transferSyntax: string, body: Uint8Array): Uint8Array {
  const uid = transferSyntax.length % 2 === 0 ? transferSyntax : `${transferSyntax}\0`
  return join(
    new Uint8Array(128),
    text('DICM'),
    element(EXPLICIT, 0x00020010, 'UI', new TextEncoder().encode(uid)),
    body,
  )
}
