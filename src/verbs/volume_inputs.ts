import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isDicom, isNiftiName, type VolumeCase, volumeCases } from '../package/volume_cases.ts'
import { UserError } from '../schema/errors.ts'
import { walkFolder } from '../sources/folder_walk.ts'
import { readStart } from '../storage/local.ts'

export type VolumeInput = VolumeCase

/**
 * The cases that paths name: files as they are; in folders every NIfTI file, and the DICOM files of each folder as one
 * series. Files that differ in a channel such as _0000 alone are one case where the package takes several channels.
 *
 * @throws {UserError} when a path is not there, or nothing is found
 */
export async function volumeInputs(paths: readonly string[], channels: number): Promise<VolumeInput[]> {
  const nifti: string[] = []
  const dicom: string[] = []
  for (const path of paths) {
    const info = await stat(path).catch((cause) => {
      throw new UserError(`There is no ${path}.`, { cause })
    })
    if (!info.isDirectory()) {
      nifti.push(path)
      continue
    }
    const { images, others } = await walkFolder(path)
    for (const name of [...images, ...others]) {
      const file = join(path, name)
      if (isNiftiName(name)) nifti.push(file)
      else if (isDicom(await readStart(file, 132))) dicom.push(file)
    }
  }
  const found = volumeCases({ nifti, dicom }, channels)
  if (found.length === 0)
    throw new UserError(
      `No volume in ${paths.join(', ')}.\n  do: name NIfTI files (.nii, .nii.gz), or folders that hold them or the DICOM files of a series.`,
    )
  return found
}
