import { halfOfPair } from '../imaging/nifti/read.ts'
import { isRaster } from '../imaging/raster_volume.ts'
import { readVolumeHeader, type VolumeHeader } from '../imaging/read_volume.ts'
import { readBytes, readStart } from '../storage/local.ts'

/** Enough of a compressed volume for any header. */
const HEADER_BYTES = 4096

/**
 * The header of a volume's file. Of a raster image the whole file is read: its header may stand at the end.
 *
 * @throws {UserError} when it cannot be read, or is the header of a NIfTI pair
 */
export async function readHeaderOf(path: string): Promise<VolumeHeader> {
  const start = await readStart(path, HEADER_BYTES)
  const header = await readVolumeHeader(isRaster(start) ? await readBytes(path) : start)
  if (header.layout === 'pair') throw halfOfPair()
  return header
}
