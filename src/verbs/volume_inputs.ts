import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import {
  casesOfFiles,
  isCaseFile,
  type Takes,
  type VolumeCase,
  type VolumeFile,
} from '../package/volume_cases.ts'
import { UserError } from '../schema/errors.ts'
import { walkFolder } from '../sources/folder_walk.ts'
import { readStart, stampFile } from '../storage/local.ts'

export type VolumeInput = VolumeCase

/** Bytes that tell a DICOM file. */
const START = 132

/**
 * The cases that paths name: NIfTI files as they are, in folders too, a .hdr with the .img beside it; DICOM files of one
 * folder are one series. Files that differ in a channel such as _0000 alone are one case where the package takes several
 * channels.
 *
 * @throws {UserError} when a path is not there, or nothing is found
 */
export async function volumeInputs(paths: readonly string[], takes: Takes): Promise<VolumeInput[]> {
  const files: VolumeFile[] = []
  for (const path of paths) {
    const info = await stat(path).catch((cause) => {
      throw new UserError(`There is no ${path}.`, { cause })
    })
    if (!info.isDirectory()) {
      files.push({ path, start: await readStart(path, START) })
      const image = path.replace(/\.hdr$/i, '.img')
      if (image !== path && !paths.includes(image) && (await stampFile(image)) !== null)
        files.push({ path: image, start: await readStart(image, START) })
      continue
    }
    const { images, others } = await walkFolder(path)
    for (const name of [...images, ...others]) {
      const file = { path: join(path, name), start: await readStart(join(path, name), START) }
      if (isCaseFile(file, takes)) files.push(file)
    }
  }
  const found = casesOfFiles(files, takes)
  if (found.length === 0)
    throw new UserError(
      takes.distance_unit === 'px'
        ? `No image in ${paths.join(', ')}.\n  do: name PNG, JPEG, TIFF or WebP files, or folders that hold them: the package takes 2D images.`
        : `No volume in ${paths.join(', ')}.\n  do: name NIfTI files (.nii, .nii.gz), or folders that hold them or the DICOM files of a series.`,
    )
  return found
}
