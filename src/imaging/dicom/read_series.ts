import { ImageError } from '../image_error.ts'
import { type DicomInstance, readDicomInstance } from './instance.ts'

/**
 * The instances of one DICOM series, in any order.
 *
 * @throws {ImageError} if a file is no DICOM or damaged, or they are of several series
 */
export function readSeries(files: readonly Uint8Array[]): DicomInstance[] {
  const instances = files.map((bytes) => readDicomInstance(bytes))
  const kinds = Map.groupBy(instances, ({ seriesUid }) => seriesUid)
  if (kinds.size <= 1) return instances
  const listed = [...kinds.values()].map((some) => `${some.length} of ${some[0]!.modality ?? 'no modality'}`)
  throw new ImageError(
    `The DICOM files are of ${kinds.size} series (${listed.slice(0, 8).join(', ')}), and a volume is made of one.`,
    'put each series into a folder of its own.',
  )
}
