import { ImageError } from '../image_error.ts'
import type { Voxels } from '../volume.ts'

/** NIfTI's number types that become voxels. */
export type NiftiType =
  | 'uint8'
  | 'int8'
  | 'uint16'
  | 'int16'
  | 'uint32'
  | 'int32'
  | 'uint64'
  | 'int64'
  | 'float32'
  | 'float64'

/** Codes of nifti1.h. */
export const TYPE_CODES: Readonly<Record<number, NiftiType>> = {
  2: 'uint8',
  4: 'int16',
  8: 'int32',
  16: 'float32',
  64: 'float64',
  256: 'int8',
  512: 'uint16',
  768: 'uint32',
  1024: 'int64',
  1280: 'uint64',
}

export const TYPE_BYTES: Readonly<Record<NiftiType, 1 | 2 | 4 | 8>> = {
  uint8: 1,
  int8: 1,
  uint16: 2,
  int16: 2,
  uint32: 4,
  int32: 4,
  uint64: 8,
  int64: 8,
  float32: 4,
  float64: 8,
}

/** @throws {ImageError} for codes that are not one number per voxel */
export function niftiType(code: number): NiftiType {
  const type = TYPE_CODES[code]
  if (type !== undefined) return type
  const refused = REFUSED[code]
  throw new ImageError(
    refused === undefined
      ? `The NIfTI file's data type ${code} is not a type of the standard.`
      : `The NIfTI file's voxels are ${refused}, which is not read.`,
    'write it anew with one number per voxel: integers up to 32 bits, float32 or float64.',
  )
}

const REFUSED: Readonly<Record<number, string>> = {
  1: 'single bits (type 1)',
  32: 'complex numbers (complex64)',
  128: 'RGB colours (RGB24)',
  1536: '128-bit floating point (float128)',
  1792: 'complex numbers (complex128)',
  2048: 'complex numbers (complex256)',
  2304: 'RGBA colours (RGBA32)',
}

/**
 * The voxels at `offset`, without scaling. Where byte order and alignment allow, they share the memory of `bytes`.
 *
 * @throws {ImageError} if 64-bit integers exceed 2^53, beyond which float64 skips whole numbers
 */
export function decodeVoxels(
  bytes: Uint8Array,
  offset: number,
  { type, count, littleEndian }: { type: NiftiType; count: number; littleEndian: boolean },
): Voxels {
  const size = TYPE_BYTES[type]
  const stored = bytes.subarray(offset, offset + count * size)
  const isView = littleEndian && stored.byteOffset % size === 0
  const own = isView ? stored : stored.slice()
  if (!littleEndian) swapBytes(own, size)
  const { buffer, byteOffset } = own
  if (type === 'int64' || type === 'uint64')
    return wideIntegers(new Int32Array(buffer, byteOffset, count * 2), type)
  return new ARRAYS[type](buffer as ArrayBuffer, byteOffset, count)
}

const ARRAYS = {
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  uint32: Uint32Array,
  int32: Int32Array,
  float32: Float32Array,
  float64: Float64Array,
} as const

function swapBytes(bytes: Uint8Array, size: number): void {
  for (let start = 0; start < bytes.length; start += size)
    for (let i = start, j = start + size - 1; i < j; i++, j--) {
      const swapped = bytes[i]!
      bytes[i] = bytes[j]!
      bytes[j] = swapped
    }
}

/** @param halves low and high 32 bits of each integer */
function wideIntegers(halves: Int32Array, type: 'int64' | 'uint64'): Float64Array {
  const out = new Float64Array(halves.length / 2)
  for (let i = 0; i < out.length; i++) {
    const high = type === 'int64' ? halves[2 * i + 1]! : halves[2 * i + 1]! >>> 0
    const value = high * 2 ** 32 + (halves[2 * i]! >>> 0)
    if (Math.abs(value) > Number.MAX_SAFE_INTEGER)
      throw new ImageError(
        `The NIfTI file holds the ${type} value ${value.toPrecision(4)}, which float64 cannot hold exactly.`,
        'write it anew as int32 or float64.',
      )
    out[i] = value
  }
  return out
}
