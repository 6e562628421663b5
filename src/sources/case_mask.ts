import { readMask } from '../imaging/read_mask.ts'
import type { Volume } from '../imaging/volume.ts'
import { readBytes } from '../storage/local.ts'
import { seriesHeaders } from './series_headers.ts'

/**
 * The mask of a case on the grid of its images.
 *
 * @param images paths of a volume's files, which a DICOM mask needs beside its own
 * @param names names of a DICOM mask's structures → value; null: their own numbers
 * @throws {UserError} if a file cannot be read, or the mask was drawn on something else
 */
export async function readCaseMask(
  images: readonly string[],
  mask: string,
  names: Readonly<Record<string, number>> | null,
): Promise<Volume> {
  const series = await seriesHeaders(images)
  const drawnOn = series === null ? null : { series, labels: names }
  return (await readMask(await readBytes(mask), drawnOn)).volume
}

/** Names of structures that are one value each, as DICOM masks may name theirs; null where one is of several. */
export function maskNames(
  structures: readonly { name: string; values: readonly number[] }[],
): Record<string, number> | null {
  if (structures.some(({ values }) => values.length !== 1)) return null
  return Object.fromEntries(structures.map(({ name, values }) => [name, values[0]!]))
}
