import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isDicom } from '../imaging/dicom/signature.ts'
import { ImageError } from '../imaging/image_error.ts'
import {
  casesOfFiles,
  isCaseFile,
  type Takes,
  type VolumeCase,
  type VolumeFile,
} from '../package/volume_cases.ts'
import { UserError } from '../schema/errors.ts'
import { readDicomStart } from '../sources/dicom_header.ts'
import { walkFolder } from '../sources/folder_walk.ts'
import { inParallel } from '../storage/in_parallel.ts'
import { readStart, stampFile } from '../storage/local.ts'

export type VolumeInput = VolumeCase

/** Bytes that tell a DICOM file. */
const START = 132

/**
 * The cases that paths name: NIfTI files as they are, in folders too, a .hdr with the .img beside it; the DICOM files of a
 * folder by their series, one that cannot be read by itself. Files that differ in a channel such as _0000 alone are one
 * case where the package takes several channels.
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
      files.push(await withSeries({ path, start: await readStart(path, START) }, info.size))
      const image = path.replace(/\.hdr$/i, '.img')
      if (image !== path && !paths.includes(image) && (await stampFile(image)) !== null)
        files.push({ path: image, start: await readStart(image, START) })
      continue
    }
    const { images, others } = await walkFolder(path)
    const inside = await inParallel([...images, ...others], 16, async (name) => {
      const file = { path: join(path, name), start: await readStart(join(path, name), START), root: path }
      return isCaseFile(file, takes) ? withSeries(file) : null
    })
    files.push(...inside.filter((file) => file !== null))
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

async function withSeries(file: VolumeFile, size?: number): Promise<VolumeFile> {
  if (!isDicom(file.start)) return file
  try {
    const instance = await readDicomStart(file.path, size ?? (await stat(file.path)).size)
    return { ...file, series: { uid: instance?.seriesUid ?? null } }
  } catch (cause) {
    if (!(cause instanceof ImageError)) throw cause
    return { ...file, series: 'unreadable' }
  }
}
