import { ImageError } from '../image_error.ts'
import type { DataSet } from './data_set.ts'
import type { Keyword } from './tags.ts'

/** Values looked up: `first` and below give the first entry, beyond the last gives the last. */
export interface LookupTable {
  first: number
  values: Uint16Array
  /** Of an entry: the table's range is 0 to 2^bits - 1. */
  bits: number
}

/**
 * A lookup table by its descriptor and data: entries, first value mapped, bits.
 *
 * @param isSigned whether pixels are signed, by which `first` is read where the file's own type does not tell
 * @throws {ImageError} if the two do not go together
 * @see DICOM PS3.3, C.11.1.1.1
 */
export function lookupTable(
  dataSet: DataSet,
  descriptor: Keyword,
  data: Keyword,
  isSigned: boolean,
): LookupTable {
  const [count = 0, first = 0, bits = 0] = descriptorOf(dataSet, descriptor, isSigned)
  const length = count === 0 ? 65536 : count
  const values = entries(dataSet, data, length, bits)
  if (bits < 1 || bits > 16 || values.length < length)
    throw new ImageError(
      `The DICOM file's lookup table should hold ${length} entries of ${bits} bits, and ${values.length} are there.`,
      'the file is damaged or was written wrongly: export it again.',
    )
  return { first, values, bits }
}

export function lookUp({ first, values }: LookupTable, value: number): number {
  const index = value - first
  return values[index <= 0 ? 0 : index >= values.length ? values.length - 1 : Math.trunc(index)]!
}

function descriptorOf(dataSet: DataSet, keyword: Keyword, isSigned: boolean): number[] {
  const vr = dataSet.element(keyword)?.vr
  return dataSet.numbers(keyword).map((value, i) => {
    if (i !== 1) return value & 0xffff
    return vr === 'SS' || isSigned ? (value << 16) >> 16 : value & 0xffff
  })
}

/** Entries lie in words; those of up to 8 bits in bytes where there is just a byte for each. */
function entries(dataSet: DataSet, keyword: Keyword, length: number, bits: number): Uint16Array {
  const raw = dataSet.raw(keyword)
  if (bits <= 8 && raw.length < length * 2) return Uint16Array.from(raw.subarray(0, length))
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength)
  const isLittle = dataSet.byteOrder === 'little-endian'
  return Uint16Array.from({ length: Math.min(length, raw.length >> 1) }, (_, i) =>
    view.getUint16(2 * i, isLittle),
  )
}
