import { ImageError } from '../image_error.ts'
import type { Voxels } from '../volume.ts'
import type { DataSet } from './data_set.ts'
import { lookUp, lookupTable } from './lut.ts'

/**
 * Indices into a palette as RGB of 8 bits, colours pixel by pixel; of tables with 16-bit entries the upper half.
 *
 * @throws {ImageError} if a table is missing, damaged, or in segments
 * @see DICOM PS3.3, C.7.6.3.1.5 and C.7.9
 */
export function paletteToRgb(indices: Voxels, dataSet: DataSet, isSigned: boolean): Uint8Array {
  const out = new Uint8Array(indices.length * 3)
  for (const [c, [descriptor, data]] of TABLES.entries()) {
    if (!dataSet.has(descriptor) || !dataSet.has(data))
      throw new ImageError(
        'The DICOM image is PALETTE COLOR, but its tables are missing or in segments.',
        'export it again as RGB.',
      )
    const table = lookupTable(dataSet, descriptor, data, isSigned)
    const shift = table.bits > 8 ? table.bits - 8 : 0
    for (let i = 0, at = c; i < indices.length; i++, at += 3) out[at] = lookUp(table, indices[i]!) >> shift
  }
  return out
}

const TABLES = [
  ['RedPaletteColorLookupTableDescriptor', 'RedPaletteColorLookupTableData'],
  ['GreenPaletteColorLookupTableDescriptor', 'GreenPaletteColorLookupTableData'],
  ['BluePaletteColorLookupTableDescriptor', 'BluePaletteColorLookupTableData'],
] as const
