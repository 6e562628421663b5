import { stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { UserError } from '../schema/errors.ts'
import { walkFolder } from '../sources/folder_walk.ts'
import { readStart } from '../storage/local.ts'

/** A case to segment: one file, one a channel, or the instances of a series. */
export interface VolumeInput {
  case_id: string
  /** What results name: the file, of several the first, or the folder of a series. */
  name: string
  files: string[]
}

const NIFTI = /\.nii(\.gz)?$/i
const CHANNEL = /_(\d{4})\.nii(\.gz)?$/i

/**
 * The cases that paths name: NIfTI files as they are; in folders every NIfTI file, and the DICOM files of each folder as
 * one series. Files that differ in a channel such as _0000 alone are one case where the package takes several channels.
 *
 * @throws {UserError} when a path is not there, or nothing is found
 */
export async function volumeInputs(paths: readonly string[], channels: number): Promise<VolumeInput[]> {
  const files: string[] = []
  const series: VolumeInput[] = []
  for (const path of paths) {
    const info = await stat(path).catch((cause) => {
      throw new UserError(`There is no ${path}.`, { cause })
    })
    if (!info.isDirectory()) {
      files.push(path)
      continue
    }
    const { images, others } = await walkFolder(path)
    const all = [...images, ...others].map((name) => join(path, name))
    files.push(...all.filter((name) => NIFTI.test(name)))
    series.push(...(await seriesIn(all.filter((name) => !NIFTI.test(name)))))
  }
  const found = [...grouped(files, channels), ...series]
  if (found.length === 0)
    throw new UserError(
      `No volume in ${paths.join(', ')}.\n  do: name NIfTI files (.nii, .nii.gz), or folders that hold them or the DICOM files of a series.`,
    )
  return withDistinctIds(found)
}

function grouped(files: readonly string[], channels: number): VolumeInput[] {
  const cases = new Map<string, string[]>()
  for (const file of files) {
    const key = channels > 1 ? file.replace(CHANNEL, '') : file
    cases.set(key, [...(cases.get(key) ?? []), file])
  }
  return [...cases.values()].map((members) => {
    const sorted = [...members].sort()
    const first = sorted[0]!
    return {
      case_id: basename(channels > 1 ? first.replace(CHANNEL, '') : first).replace(NIFTI, ''),
      name: first,
      files: sorted,
    }
  })
}

/** DICOM files by their folder. */
async function seriesIn(files: readonly string[]): Promise<VolumeInput[]> {
  const folders = new Map<string, string[]>()
  for (const file of files) {
    const start = await readStart(file, 132)
    const isDicom = new TextDecoder('latin1').decode(start.subarray(128, 132)) === 'DICM'
    if (isDicom) folders.set(dirname(file), [...(folders.get(dirname(file)) ?? []), file])
  }
  return [...folders].map(([folder, members]) => ({
    case_id: basename(folder),
    name: folder,
    files: members.sort(),
  }))
}

/** Two files of one name in different folders keep their folder in their id. */
function withDistinctIds(cases: readonly VolumeInput[]): VolumeInput[] {
  const counts = new Map<string, number>()
  for (const { case_id } of cases) counts.set(case_id, (counts.get(case_id) ?? 0) + 1)
  return cases.map((one) =>
    counts.get(one.case_id)! > 1
      ? { ...one, case_id: `${basename(dirname(one.files[0]!))}_${one.case_id}` }
      : one,
  )
}
