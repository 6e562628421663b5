import { type DicomInstance, readDicomHeader } from '../imaging/dicom/instance.ts'
import { planSeries } from '../imaging/dicom/series.ts'
import { isDicom } from '../imaging/dicom/signature.ts'
import type { Grid } from '../imaging/geometry/grid.ts'
import { inParallel } from '../storage/in_parallel.ts'
import { readStart, stampFile } from '../storage/local.ts'
import { readDicomStart } from './dicom_header.ts'

/** Headers of a series' instances from the starts of their files; null if the files are something else than DICOM. */
export async function seriesHeaders(paths: readonly string[]): Promise<DicomInstance[] | null> {
  if (!isDicom(await readStart(paths[0]!, 1024))) return null
  return inParallel(paths, 16, async (path) => {
    const stamp = await stampFile(path)
    const instance = stamp === null ? null : await readDicomStart(path, stamp.size)
    // As decoding would say of a file that is something else.
    return instance ?? readDicomHeader(await readStart(path, 1024))
  })
}

/**
 * Where the volume of a series lies; null if the files are something else than DICOM.
 *
 * @throws {UserError} if a file is gone or damaged, or the series is not regular
 */
export async function seriesGrid(paths: readonly string[]): Promise<Grid | null> {
  const instances = await seriesHeaders(paths)
  if (instances === null) return null
  const { shape, affine } = planSeries(instances)
  return { shape, affine }
}
