import { type DicomAttributes, writeDicom } from '../write.ts'

/** Rows and columns of `greySlice`. */
export const SLICE_SHAPE: [rows: number, columns: number] = [3, 5]

/**
 * One grey 16-bit image of 3 rows and 5 columns, as bytes; `changes` replace its attributes, `null` drops them.
 * The values of its pixels count up from 1,000 times the instance number.
 */
export function greySlice(
  changes: { [K in keyof DicomAttributes]: DicomAttributes[K] | null } = {},
): Uint8Array {
  const [rows, columns] = SLICE_SHAPE
  const number = typeof changes.InstanceNumber === 'number' ? changes.InstanceNumber : 1
  const attributes = {
    SOPClassUID: '1.2.840.10008.5.1.4.1.1.2',
    SOPInstanceUID: `1.2.3.4.${number}`,
    SeriesInstanceUID: '1.2.3.4',
    StudyInstanceUID: '1.2.3',
    Modality: 'CT',
    PatientID: 'P1',
    InstanceNumber: number,
    ImageType: ['ORIGINAL', 'PRIMARY', 'AXIAL'],
    PixelSpacing: [0.75, 0.5],
    ImageOrientationPatient: [1, 0, 0, 0, 1, 0],
    ImagePositionPatient: [-20, -30, 10 + 2.5 * number],
    SamplesPerPixel: 1,
    PhotometricInterpretation: 'MONOCHROME2',
    Rows: rows,
    Columns: columns,
    BitsAllocated: 16,
    BitsStored: 16,
    HighBit: 15,
    PixelRepresentation: 1,
    PixelData: counting(rows * columns, 1000 * number),
    ...changes,
  }
  return writeDicom(Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== null)))
}

/** Int16 values that count up, as bytes. */
export function counting(length: number, first: number): Uint8Array {
  return new Uint8Array(Int16Array.from({ length }, (_, i) => first + i).buffer)
}
