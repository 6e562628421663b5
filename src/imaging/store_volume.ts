import type { VolumeSpec } from '../schema/preprocess.ts'

export type StoredVoxels = Uint8Array | Int16Array | Float16Array | Float32Array

/** The array of each stored type. */
export const STORED_ARRAYS = {
  uint8: Uint8Array,
  int16: Int16Array,
  float16: Float16Array,
  float32: Float32Array,
} satisfies Record<VolumeSpec['dtype'], unknown>

/** Values converted at once: what is read stays ahead of what is written into the same memory. */
const CHUNK = 1 << 16

/**
 * Normalised values as they are stored: integers take 0..1 to their whole range, rounded to the nearest, floats as they
 * are. Narrower types are written into the memory of `values`, which is lost: a CT of 1,000 slices takes a gigabyte.
 */
export function toStored(values: Float32Array, dtype: VolumeSpec['dtype']): StoredVoxels {
  const { buffer, byteOffset, length } = values
  if (dtype === 'float32') return values
  if (dtype === 'float16') {
    const out = new Float16Array(buffer, byteOffset, length)
    for (let at = 0; at < length; at += CHUNK) {
      const part = Float16Array.from(values.subarray(at, at + CHUNK))
      out.set(part, at)
    }
    return out
  }
  if (dtype === 'uint8') {
    const out = new Uint8Array(buffer, byteOffset, length)
    for (let i = 0; i < length; i++) out[i] = Math.min(255, Math.max(0, Math.round(values[i]! * 255)))
    return out
  }
  const out = new Int16Array(buffer, byteOffset, length)
  for (let i = 0; i < length; i++)
    out[i] = Math.min(32767, Math.max(-32768, Math.round(values[i]! * 65535) - 32768))
  return out
}
