import { ImageError } from '../image_error.ts'
import type { DataSet } from './data_set.ts'
import { type LookupTable, lookUp, lookupTable } from './lut.ts'

/** Stored values to what they measure (Hounsfield units and the like). */
export type ModalityTransform =
  | { kind: 'linear'; slope: number; intercept: number }
  | { kind: 'lut'; table: LookupTable }

/**
 * The modality transform that a data set, or a frame's functional group, states: its lookup table, else rescale slope
 * and intercept, else none (slope 1, intercept 0).
 *
 * @param isSigned of the stored values
 * @throws {ImageError} if only one of slope and intercept is there, or the slope is 0
 * @see DICOM PS3.3, C.11.1
 */
export function modalityTransform(dataSet: DataSet, isSigned: boolean): ModalityTransform {
  const [item] = dataSet.items('ModalityLUTSequence')
  if (item !== undefined)
    return { kind: 'lut', table: lookupTable(item, 'LUTDescriptor', 'LUTData', isSigned) }
  const slope = dataSet.number('RescaleSlope')
  const intercept = dataSet.number('RescaleIntercept')
  if (slope === null && intercept === null) return { kind: 'linear', slope: 1, intercept: 0 }
  if (slope === null || intercept === null || slope === 0)
    throw new ImageError(
      `The DICOM file's RescaleSlope is ${slope ?? 'missing'} and its RescaleIntercept ${intercept ?? 'missing'}: ` +
        'its values have no meaning.',
      'export the file again, or leave the case out.',
    )
  return { kind: 'linear', slope, intercept }
}

/** One stored value, transformed. */
export function modalityValue(transform: ModalityTransform, stored: number): number {
  return transform.kind === 'lut'
    ? lookUp(transform.table, stored)
    : stored * transform.slope + transform.intercept
}
