import { basename, dirname } from 'node:path'

/** A case to segment: one file, one a channel, or the instances of a series. */
export interface VolumeCase {
  case_id: string
  /** What results name: the file, of several the first, or the folder of a series. */
  name: string
  /** Paths as given. */
  files: string[]
}

const NIFTI = /\.nii(\.gz)?$/i
const CHANNEL = /_(\d{4})\.nii(\.gz)?$/i

export const isNiftiName = (path: string): boolean => NIFTI.test(path)

/**
 * Which files make a case: each NIfTI file by itself, or with those that differ in a channel such as _0000 alone where
 * the package takes several channels; the DICOM files of a folder.
 */
export function volumeCases(
  files: { nifti: readonly string[]; dicom: readonly string[] },
  channels: number,
): VolumeCase[] {
  return withDistinctIds([...byChannel(files.nifti, channels), ...byFolder(files.dicom)])
}

/** By the first 132 bytes of a file. */
export function isDicom(start: Uint8Array): boolean {
  return new TextDecoder('latin1').decode(start.subarray(128, 132)) === 'DICM'
}

function byChannel(files: readonly string[], channels: number): VolumeCase[] {
  const stemOf = (file: string) => (channels > 1 ? file.replace(CHANNEL, '') : file)
  return [...Map.groupBy(files, stemOf).values()].map((members) => {
    const sorted = [...members].sort()
    const first = sorted[0]!
    return { case_id: basename(stemOf(first)).replace(NIFTI, ''), name: first, files: sorted }
  })
}

function byFolder(files: readonly string[]): VolumeCase[] {
  return [...Map.groupBy(files, dirname)].map(([folder, members]) => ({
    case_id: basename(folder),
    name: folder,
    files: [...members].sort(),
  }))
}

/** Two files of one name in different folders keep their folder in their id. */
function withDistinctIds(cases: readonly VolumeCase[]): VolumeCase[] {
  const counts = new Map<string, number>()
  for (const { case_id } of cases) counts.set(case_id, (counts.get(case_id) ?? 0) + 1)
  return cases.map((one) => {
    const folder = basename(dirname(one.files[0]!))
    if (counts.get(one.case_id)! === 1 || folder === '.') return one
    return { ...one, case_id: `${folder}_${one.case_id}` }
  })
}
