import { readSeries } from '../imaging/dicom/read_series.ts'
import { writeSegmentation } from '../imaging/dicom/seg_write.ts'
import { planSeries } from '../imaging/dicom/series.ts'
import { ImageError } from '../imaging/image_error.ts'
import type { LoadedSegmenter } from './load_segmenter.ts'
import type { Segmented } from './segment.ts'

/**
 * The mask of a DICOM series as a DICOM Segmentation that refers to it.
 *
 * @param files the instances that were segmented
 * @throws {ImageError} if the series lacks what a segmentation has to repeat of it
 */
export function dicomMask(
  files: readonly Uint8Array[],
  { mask }: Pick<Segmented, 'mask'>,
  { model, digest }: Pick<LoadedSegmenter, 'model' | 'digest'>,
  created: Date,
): Uint8Array {
  return writeSegmentation({
    mask,
    structures: model.task.structures,
    series: planSeries(readSeries(files)),
    model: { name: model.name, version: model.version, digest },
    created,
    newUid: randomUid,
  })
}

/** The same, or a warning for a series that a segmentation cannot refer to, and which has its mask as NIfTI only. */
export function dicomMaskOrWarning(
  ...of: Parameters<typeof dicomMask>
): { bytes: Uint8Array; warning: null } | { bytes: null; warning: string } {
  try {
    return { bytes: dicomMask(...of), warning: null }
  } catch (cause) {
    if (!(cause instanceof ImageError)) throw cause
    return { bytes: null, warning: `No DICOM segmentation was written: ${cause.reason}` }
  }
}

/** A UID made of a random UUID. @see DICOM PS3.5, B.2 */
function randomUid(): string {
  return `2.25.${BigInt(`0x${crypto.randomUUID().replaceAll('-', '')}`)}`
}
