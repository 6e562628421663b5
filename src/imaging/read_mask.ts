import type { DicomInstance } from './dicom/instance.ts'
import type { MaskValues } from './dicom/mask_painter.ts'
import { parseDicom } from './dicom/parse.ts'
import { readStructureSet } from './dicom/rtstruct.ts'
import { readSegmentation } from './dicom/seg_read.ts'
import { planSeries } from './dicom/series.ts'
import { isDicom } from './dicom/signature.ts'
import { isRaster, rasterMask } from './raster_volume.ts'
import { readVolume } from './read_volume.ts'
import type { Volume } from './volume.ts'

/** What a DICOM mask needs beside its own bytes: it says neither a grid nor the values of its structures. */
export interface DrawnOn {
  /** Headers of the series' instances, in any order. */
  series: readonly DicomInstance[]
  /** Name of a structure → value; null: the file's own numbers. */
  labels: MaskValues | null
}

/**
 * The mask that a file holds: a volume or an image of labels, or a DICOM segmentation or structure set on the grid of its
 * series.
 *
 * @returns notes for a person
 * @throws {ImageError} if it cannot be read, or was drawn on another grid
 */
export async function readMask(
  bytes: Uint8Array,
  drawnOn: DrawnOn | null,
): Promise<{ volume: Volume; notes: string[] }> {
  if (isRaster(bytes)) return { volume: await rasterMask(bytes), notes: [] }
  if (!isDicom(bytes) || drawnOn === null) return { volume: (await readVolume([bytes])).volume, notes: [] }
  const plan = planSeries(drawnOn.series)
  const isStructureSet = parseDicom(bytes).dataSet.string('Modality') === 'RTSTRUCT'
  const values = drawnOn.labels ?? undefined
  return isStructureSet ? readStructureSet(bytes, plan, values) : readSegmentation(bytes, plan, values)
}
