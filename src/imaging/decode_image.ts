import { decodeRaster } from '#raster'
import { decodeDicomImage } from './dicom/decode_image.ts'
import { flatten } from './flatten.ts'
import { type ImageHeader, storedHeader, uprightHeader } from './header.ts'
import { turnUpright } from './orientation.ts'
import type { Raster, SampleMeaning } from './raster.ts'
import { sniffFormat } from './signature.ts'

export interface DecodedImage {
  /** Grey or RGB, upright unless asked otherwise. */
  raster: Raster
  /** Of grey DICOM; null where samples stand for themselves. */
  meaning: SampleMeaning | null
  header: ImageHeader
  notes: string[]
}

/**
 * Decodes a file to grey or RGB samples: header checked, pixels decoded, CMYK, alpha and palettes resolved, EXIF turn
 * applied.
 *
 * @throws {ImageError} naming what is wrong with the file and what to do
 */
export async function decodeImage(
  bytes: Uint8Array,
  { exif_orientation }: { exif_orientation: boolean },
): Promise<DecodedImage> {
  if (sniffFormat(bytes) === 'dicom') {
    const decoded = await decodeDicomImage(bytes)
    return { ...decoded, notes: [...decoded.notes, ...smallNote(decoded.header)] }
  }
  const header = storedHeader(bytes)
  const { raster, notes } = flatten(await decodeRaster(bytes, header), header)
  return {
    meaning: null,
    raster: exif_orientation ? turnUpright(raster, header.orientation) : raster,
    header: uprightHeader(header),
    notes: [...header.notes, ...notes, ...smallNote(header)],
  }
}

/** Below this, an image is more likely a placeholder or a crop gone wrong than a radiograph or a tile. */
const SMALL_SIDE = 8

function smallNote({ height, width }: Pick<ImageHeader, 'height' | 'width'>): string[] {
  if (Math.min(height, width) >= SMALL_SIDE) return []
  // The same words for every size: preparation counts notes by their text.
  return [`The image has fewer than ${SMALL_SIDE} rows or columns: is it the right file?`]
}
