import type { DataSet } from './data_set.ts'
import { type LookupTable, lookUp, lookupTable } from './lut.ts'

/** The values of interest, for display: a window, or a lookup table, on what the modality transform gives. */
export type Voi =
  | { kind: 'window'; shape: 'LINEAR' | 'LINEAR_EXACT' | 'SIGMOID'; center: number; width: number }
  | { kind: 'lut'; table: LookupTable }

/**
 * The VOIs that a data set, or a frame's functional group, offers: its lookup tables, then its windows. Windows too
 * narrow to mean anything (below 1, or 0 and below where any width is allowed) are left out.
 *
 * @param isSigned of the values that go in
 * @see DICOM PS3.3, C.11.2
 */
export function vois(dataSet: DataSet, isSigned: boolean): Voi[] {
  const tables = dataSet
    .items('VOILUTSequence')
    .map((item): Voi => ({ kind: 'lut', table: lookupTable(item, 'LUTDescriptor', 'LUTData', isSigned) }))
  const widths = dataSet.numbers('WindowWidth')
  const stated = dataSet.string('VOILUTFunction')
  const shape = stated === 'LINEAR_EXACT' || stated === 'SIGMOID' ? stated : 'LINEAR'
  const windows = dataSet
    .numbers('WindowCenter')
    .map((center, i): Voi => ({ kind: 'window', shape, center, width: widths[i] ?? 0 }))
    .filter((voi) => voi.kind === 'window' && (shape === 'LINEAR' ? voi.width >= 1 : voi.width > 0))
  return [...tables, ...windows]
}

/** Where a value lies in the range of display, 0 to 1. */
export function voiValue(voi: Voi, value: number): number {
  if (voi.kind === 'lut') return lookUp(voi.table, value) / (2 ** voi.table.bits - 1)
  const { shape, center, width } = voi
  if (shape === 'SIGMOID') return 1 / (1 + Math.exp((-4 * (value - center)) / width))
  // LINEAR means pixels as wide as one value: half a value less at either end.
  const [middle, span] = shape === 'LINEAR' ? [center - 0.5, width - 1] : [center, width]
  if (value <= middle - span / 2) return 0
  if (value > middle + span / 2) return 1
  return (value - middle) / span + 0.5
}
