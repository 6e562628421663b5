import { isRaster } from '../imaging/raster_volume.ts'
import { readMask } from '../imaging/read_mask.ts'
import type { Volume } from '../imaging/volume.ts'
import type { LoadedSegmenter } from '../package/load_segmenter.ts'
import { UserError } from '../schema/errors.ts'
import { channelNames, postFiles } from './post_files.ts'

/**
 * The mask of one case through the HTTP server: its file as the body, or a form of its channels or instances, and the
 * NIfTI or PNG that comes back.
 *
 * @throws {UserError} when the server could not segment it
 */
export async function servedMask(loaded: LoadedSegmenter, files: readonly Uint8Array[]): Promise<Volume> {
  const names = files.length === 1 ? null : channelNames(files, isRaster(files[0]!) ? 'png' : 'nii.gz')
  const { predictions, problem } = await postFiles(loaded, { files, names })
  const [made, ...others] = predictions
  if (problem !== null || made?.mask_base64 === undefined)
    throw new UserError(`The server could not segment a volume: ${problem ?? 'its answer holds no mask.'}`)
  if (others.length > 0)
    throw new UserError(
      `The server took the ${files.length} files of one case for ${others.length + 1} cases.`,
    )
  return (await readMask(Buffer.from(made.mask_base64, 'base64'), null)).volume
}
