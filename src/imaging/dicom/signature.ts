import { isVr } from './vr.ts'

/** Where the meta information starts: after a preamble of 128 bytes and "DICM". */
export const META_START = 132

/** Whether bytes are a DICOM file, with its preamble or, as some old writers leave them, without. */
export function isDicom(bytes: Uint8Array): boolean {
  return [0x44, 0x49, 0x43, 0x4d].every((byte, i) => bytes[128 + i] === byte) || isDicomWithoutPreamble(bytes)
}

/**
 * Whether bytes start as a meta group or a data set does: an element of group 0002 or 0008 with a value
 * representation, or in implicit VR with a length that the file can hold. No image format starts so.
 */
export function isDicomWithoutPreamble(bytes: Uint8Array): boolean {
  if (bytes.length < 16) return false
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const isExplicit = isVr(String.fromCharCode(bytes[4]!, bytes[5]!))
  const group = view.getUint16(0, true)
  if (isExplicit) return group === 2 || group === 8 || view.getUint16(0, false) === 8
  return (
    group === 8 &&
    view.getUint16(2, true) < 0x200 &&
    view.getUint32(4, true) <= Math.min(bytes.length - 8, 1024)
  )
}
