import { ImageError } from '../image_error.ts'
import type { DataSet } from './data_set.ts'
import type { Keyword } from './tags.ts'

/** What the pixels of an instance are, by its header alone. */
export interface PixelFormat {
  /** The element that holds them. */
  element: 'PixelData' | 'FloatPixelData' | 'DoubleFloatPixelData'
  numFrames: number
  rows: number
  columns: number
  samples: 1 | 3
  photometric: Photometric
  /** Colour planes one after the other instead of colours pixel by pixel; meant for uncompressed pixels. */
  isPlanar: boolean
  bitsAllocated: 1 | 8 | 16 | 32 | 64
  /** The lowest bits of a sample that count. */
  bitsStored: number
  isSigned: boolean
}

export const PHOTOMETRICS = [
  'MONOCHROME1',
  'MONOCHROME2',
  'PALETTE COLOR',
  'RGB',
  'YBR_FULL',
  'YBR_FULL_422',
  'YBR_ICT',
  'YBR_RCT',
] as const
export type Photometric = (typeof PHOTOMETRICS)[number]

/** Of all frames decoded. Beyond it, frames have to come in several files. */
export const MAX_DECODED_BYTES = 2 ** 30

/**
 * Reads and checks what the header says of the pixels; decodes none.
 *
 * @throws {ImageError} if there are no pixels, or of a kind that is not read, or more than MAX_DECODED_BYTES
 */
export function pixelFormat(dataSet: DataSet): PixelFormat {
  const element = ELEMENTS.find((keyword) => dataSet.element(keyword) !== null)
  if (element === undefined) {
    const modality = dataSet.string('Modality')
    throw new ImageError(
      `The DICOM file holds no pixels${modality === null ? '' : ` (modality ${modality})`}.`,
      'leave it out, or give the image that belongs there.',
    )
  }
  const rows = size(dataSet, 'Rows')
  const columns = size(dataSet, 'Columns')
  const samples = required(dataSet, 'SamplesPerPixel')
  const photometric = photometricOf(dataSet)
  const isColour = photometric !== 'PALETTE COLOR' && !photometric.startsWith('MONOCHROME')
  if (samples !== (isColour ? 3 : 1))
    throw wrong(`SamplesPerPixel is ${samples}, which does not go with ${photometric}`)
  const bits = bitsOf(dataSet, element)
  // Some writers leave 0 where they mean one.
  const numFrames = dataSet.integer('NumberOfFrames', 0) || 1
  const format: PixelFormat = {
    ...{ element, numFrames, rows, columns, samples, photometric },
    isPlanar: samples === 3 && dataSet.number('PlanarConfiguration') === 1,
    ...bits,
  }
  const bytes = decodedBytes(format)
  if (bytes > MAX_DECODED_BYTES)
    throw new ImageError(
      `The DICOM header claims ${numFrames} frames of ${rows}×${columns}×${samples}, ${bytes} bytes once decoded, ` +
        `more than the limit of 2^30.`,
      'split its frames over several files; if the image is not that large, the file is damaged: leave it out.',
    )
  return format
}

/** Memory that all frames take once decoded; a sample of one bit takes a byte. */
export function decodedBytes({ numFrames, rows, columns, samples, bitsAllocated }: PixelFormat): number {
  return numFrames * rows * columns * samples * Math.ceil(bitsAllocated / 8)
}

const ELEMENTS = ['PixelData', 'FloatPixelData', 'DoubleFloatPixelData'] as const

function photometricOf(dataSet: DataSet): Photometric {
  const text = dataSet.string('PhotometricInterpretation')
  const known = PHOTOMETRICS.find((name) => name === text)
  if (known !== undefined) return known
  throw wrong(
    text === null
      ? 'PhotometricInterpretation is missing'
      : `PhotometricInterpretation ${JSON.stringify(text.slice(0, 32))} is not read`,
  )
}

function bitsOf(
  dataSet: DataSet,
  element: PixelFormat['element'],
): Pick<PixelFormat, 'bitsAllocated' | 'bitsStored' | 'isSigned'> {
  if (element !== 'PixelData') {
    const bitsAllocated = element === 'FloatPixelData' ? 32 : 64
    return { bitsAllocated, bitsStored: bitsAllocated, isSigned: true }
  }
  const allocated = required(dataSet, 'BitsAllocated')
  if (allocated !== 1 && allocated !== 8 && allocated !== 16 && allocated !== 32)
    throw wrong(`BitsAllocated is ${allocated}, of which 1, 8, 16 and 32 are read`)
  const stored = dataSet.integer('BitsStored', 1) ?? allocated
  if (stored > allocated) throw wrong(`BitsStored is ${stored}, more than BitsAllocated ${allocated}`)
  const highest = dataSet.integer('HighBit', 0) ?? stored - 1
  if (highest !== stored - 1)
    throw wrong(`HighBit is ${highest}, where BitsStored - 1 = ${stored - 1} belongs`)
  const representation = dataSet.integer('PixelRepresentation', 0) ?? 0
  if (representation > 1) throw wrong(`PixelRepresentation is ${representation}, where 0 or 1 belongs`)
  return { bitsAllocated: allocated, bitsStored: stored, isSigned: representation === 1 }
}

function size(dataSet: DataSet, keyword: 'Rows' | 'Columns'): number {
  const value = required(dataSet, keyword)
  if (value < 1 || value > 65535) throw wrong(`${keyword} is ${value}`)
  return value
}

function required(dataSet: DataSet, keyword: Keyword): number {
  const value = dataSet.integer(keyword, 0)
  if (value === null) throw wrong(`${keyword} is missing`)
  return value
}

function wrong(what: string): ImageError {
  return new ImageError(
    `The DICOM header does not describe an image that is read: ${what}.`,
    'export the file again, uncompressed and with its original bits, or leave the case out.',
  )
}
