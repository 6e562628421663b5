import type { Triple } from '../volume.ts'

/** One frame of a binary segmentation: a slice in which a segment has voxels. Segments are counted from 1. */
export interface SegmentFrame {
  segment: number
  z: number
}

export interface PackedFrames {
  frames: SegmentFrame[]
  /** A bit a voxel, frame after frame without padding between them, lowest bit of a byte first. */
  bits: Uint8Array
  /** Whether a voxel belongs to two segments. */
  isOverlapping: boolean
}

/**
 * The frames of a binary segmentation, segment by segment and in each by slice. Slices in which a segment has no voxel
 * are left out; where no segment has any, one empty frame stands, since an image needs one.
 *
 * @param mask [z, y, x]
 * @param values of the mask, a list a segment; segments may share values
 * @see DICOM PS3.5, 8.1.1: bits run on over the ends of rows and frames
 */
export function packFrames(
  mask: Uint8Array,
  shape: Triple,
  values: readonly (readonly number[])[],
): PackedFrames {
  const size = shape[1] * shape[2]
  const present = Array.from({ length: shape[0] }, (_, z) =>
    presentValues(mask.subarray(z * size, (z + 1) * size)),
  )
  const frames = values.flatMap((own, s) =>
    present.flatMap((has, z) => (own.some((value) => has[value] === 1) ? [{ segment: s + 1, z }] : [])),
  )
  if (frames.length === 0) frames.push({ segment: 1, z: 0 })
  const bits = new Uint8Array(Math.ceil((frames.length * size) / 8))
  for (const [i, { segment, z }] of frames.entries())
    setBits(bits, i * size, mask.subarray(z * size, (z + 1) * size), membership(values[segment - 1]!))
  return { frames, bits, isOverlapping: isOverlapping(present, values) }
}

function presentValues(slice: Uint8Array): Uint8Array {
  const has = new Uint8Array(256)
  for (let i = 0; i < slice.length; i++) has[slice[i]!] = 1
  return has
}

function membership(values: readonly number[]): Uint8Array {
  const isIn = new Uint8Array(256)
  for (const value of values) isIn[value] = 1
  return isIn
}

function setBits(bits: Uint8Array, from: number, slice: Uint8Array, isIn: Uint8Array): void {
  const bytes = bits.subarray(Math.floor(from / 8))
  for (let i = 0, bit = from % 8; i < slice.length; i++, bit++)
    if (isIn[slice[i]!] === 1) bytes[bit >>> 3]! |= 1 << (bit & 7)
}

function isOverlapping(present: readonly Uint8Array[], values: readonly (readonly number[])[]): boolean {
  const owners = new Uint16Array(256)
  for (const own of values) for (const value of new Set(own)) owners[value]!++
  return present.some((has) => has.some((is, value) => is === 1 && owners[value]! > 1))
}
