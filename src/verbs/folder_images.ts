import { join } from 'node:path'
import { IMAGE_EXTENSIONS } from '../imaging/image_names.ts'
import { readVolume } from '../imaging/read_volume.ts'
import type { Volume } from '../imaging/volume.ts'
import { UserError } from '../schema/errors.ts'
import { listFolder, readBytes } from '../storage/local.ts'

/** What a case's image may be called besides its id: nnU-Net numbers the channels, and the first is shown. */
const ENDINGS = ['.nii.gz', '.nii', ...IMAGE_EXTENSIONS].flatMap((ending) => [ending, `_0000${ending}`])

/**
 * A reader of the images of a folder by case id; null where a case has none.
 *
 * @throws {UserError} for a folder without a file
 */
export async function folderImages(dir: string): Promise<(case_id: string) => Promise<Volume | null>> {
  const names = new Set(await listFolder(dir))
  if (names.size === 0)
    throw new UserError(
      `The folder of images is empty or does not exist.\n  at: ${dir}\n  do: check --images.`,
    )
  return async (case_id) => {
    const ending = ENDINGS.find((one) => names.has(case_id + one))
    return ending === undefined
      ? null
      : (await readVolume([await readBytes(join(dir, case_id + ending))])).volume
  }
}
