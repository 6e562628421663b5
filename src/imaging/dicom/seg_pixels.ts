import { ImageError } from '../image_error.ts'
import type { Voxels } from '../volume.ts'
import { unpackBits } from './codecs/unpack_bits.ts'
import type { DataSet } from './data_set.ts'
import { decodePixels } from './decode_pixels.ts'
import type { DicomFile } from './parse.ts'

export interface SegmentationFormat {
  type: 'BINARY' | 'FRACTIONAL' | 'LABELMAP'
  rows: number
  columns: number
  numFrames: number
  bitsAllocated: number
  /** Stored value of a voxel that lies in its segment altogether. */
  maximum: number
}

const TYPES = ['BINARY', 'FRACTIONAL', 'LABELMAP'] as const

/** @throws {ImageError} if the file is no segmentation, or its pixels cannot be those of one */
export function segmentationFormat(dataSet: DataSet): SegmentationFormat {
  const written = dataSet.string('SegmentationType')
  const type = TYPES.find((known) => known === written)
  if (type === undefined) {
    const found = written ?? dataSet.string('Modality')
    throw new ImageError(
      `The DICOM file is no segmentation that is read${found === null ? '' : ` (${found.slice(0, 16)})`}: SegmentationType has to be ${TYPES.join(', ')}.`,
      'give a DICOM Segmentation (modality SEG).',
    )
  }
  const bitsAllocated = least(dataSet, 'BitsAllocated')
  const maximum = type === 'FRACTIONAL' ? least(dataSet, 'MaximumFractionalValue') : 1
  const expected = { BINARY: [1, 8], FRACTIONAL: [8], LABELMAP: [8, 16] }[type]
  if (!expected.includes(bitsAllocated))
    throw wrong(`BitsAllocated is ${bitsAllocated}, which does not go with SegmentationType ${type}`)
  return {
    ...{ type, bitsAllocated, maximum },
    rows: least(dataSet, 'Rows'),
    columns: least(dataSet, 'Columns'),
    numFrames: least(dataSet, 'NumberOfFrames'),
  }
}

function least(
  dataSet: DataSet,
  keyword: 'Rows' | 'Columns' | 'NumberOfFrames' | 'BitsAllocated' | 'MaximumFractionalValue',
): number {
  const value = dataSet.integer(keyword, 1)
  if (value === null) throw wrong(`${keyword} is missing`)
  return value
}

/**
 * Gives the stored values of a frame. Bits are unpacked a frame at a time: hundreds of segments make many frames.
 *
 * @throws {ImageError} if the pixels are cut short or cannot be decoded
 */
export async function frameReader(
  file: DicomFile,
  { rows, columns, numFrames, bitsAllocated }: SegmentationFormat,
): Promise<(index: number) => Voxels> {
  const { dataSet, transferSyntax } = file
  const size = rows * columns
  if (bitsAllocated === 1 && transferSyntax.codec === null && dataSet.byteOrder === 'little-endian') {
    const raw = dataSet.raw('PixelData')
    const expected = Math.ceil((numFrames * size) / 8)
    if (raw.length < expected)
      throw new ImageError(
        `The DICOM segmentation is cut short: its pixels take ${expected} bytes by the header, and ${raw.length} are there.`,
        'copy or download it again, or leave it out.',
      )
    return (index) => {
      const first = index * size
      return unpackBits(raw.subarray(Math.floor(first / 8)), first % 8, size)
    }
  }
  const { data } = await decodePixels(file)
  return (index) => data.subarray(index * size, (index + 1) * size)
}

function wrong(what: string): ImageError {
  return new ImageError(
    `The header of the DICOM segmentation is wrong: ${what}.`,
    'export it again, or leave it out.',
  )
}
