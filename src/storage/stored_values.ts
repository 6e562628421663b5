import type { Tensor, TensorData } from './safetensors.ts'

/** What preprocessing stores, of images and volumes. */
type StoredValues = Uint8Array | Int16Array | Float16Array | Float32Array

/** Stored values as a tensor, of the type that their array has. */
export function storedTensor(data: StoredValues, shape: readonly number[]): Tensor {
  const dtype =
    data instanceof Uint8Array
      ? 'U8'
      : data instanceof Int16Array
        ? 'I16'
        : data instanceof Float32Array
          ? 'F32'
          : 'F16'
  return { dtype, shape: [...shape], data }
}

/** A tensor's values as they were stored: half precision is read as bit patterns. Null for a type that is never stored. */
export function storedValues(data: TensorData | undefined): StoredValues | null {
  if (data instanceof Uint16Array) return new Float16Array(data.buffer, data.byteOffset, data.length)
  return data instanceof Uint8Array || data instanceof Int16Array || data instanceof Float32Array
    ? data
    : null
}
