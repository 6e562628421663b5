import { ImageError } from '../image_error.ts'
import type { Voxels } from '../volume.ts'
import { type ModalityTransform, modalityValue } from './modality.ts'

/** Gathers slices into one array: Int16 as long as every value is a whole number in its range, else Float32. */
export class VolumeWriter {
  #data: Int16Array | Float32Array
  readonly #sliceLength: number

  constructor(numSlices: number, sliceLength: number) {
    if (numSlices * sliceLength > MAX_VOXELS)
      throw new ImageError(
        `The series makes ${numSlices} slices of ${sliceLength} pixels, more voxels than the limit of 2^30.`,
        'split the series, or resample it first.',
      )
    this.#sliceLength = sliceLength
    this.#data = new Int16Array(numSlices * sliceLength)
  }

  /** Slice by slice, z slowest. */
  get data(): Int16Array | Float32Array {
    return this.#data
  }

  /** @param stored one slice's values, as decoded */
  write(z: number, stored: Voxels, transform: ModalityTransform): void {
    const at = z * this.#sliceLength
    if (this.#data instanceof Int16Array && !isWholeInt16(stored, transform))
      this.#data = Float32Array.from(this.#data)
    writeSlice(this.#data.subarray(at, at + stored.length), stored, transform)
  }
}

/** 1,000 slices of 1,024² as Int16 are 2 GiB. */
const MAX_VOXELS = 2 ** 30

function isWholeInt16(stored: Voxels, transform: ModalityTransform): boolean {
  if (stored instanceof Float32Array || stored instanceof Float64Array) return false
  if (transform.kind === 'lut') return transform.table.bits <= 15
  const { slope, intercept } = transform
  if (!Number.isInteger(slope) || !Number.isInteger(intercept)) return false
  const { least, most } = range(stored)
  const ends = [least * slope + intercept, most * slope + intercept]
  return ends.every((value) => value >= -32768 && value <= 32767)
}

function range(values: Voxels): { least: number; most: number } {
  let least = values[0]!
  let most = least
  for (let i = 1; i < values.length; i++) {
    const value = values[i]!
    if (value < least) least = value
    else if (value > most) most = value
  }
  return { least, most }
}

function writeSlice(out: Int16Array | Float32Array, stored: Voxels, transform: ModalityTransform): void {
  if (transform.kind === 'lut') {
    for (let i = 0; i < out.length; i++) out[i] = modalityValue(transform, stored[i]!)
    return
  }
  const { slope, intercept } = transform
  if (slope === 1 && intercept === 0) out.set(stored)
  else for (let i = 0; i < out.length; i++) out[i] = stored[i]! * slope + intercept
}
