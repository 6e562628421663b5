import { basename, dirname } from 'node:path'
import { readDicomHeader } from '../imaging/dicom/instance.ts'
import { isDicom } from '../imaging/dicom/signature.ts'
import { ImageError } from '../imaging/image_error.ts'
import { isImageName, withoutExtension } from '../imaging/image_names.ts'
import { isRaster } from '../imaging/raster_volume.ts'
import { rasterFormat } from '../imaging/signature.ts'
import type { VolumeSpec } from '../schema/preprocess.ts'

/** A case to segment: one file, one a channel, or the instances of a series. */
export interface VolumeCase {
  case_id: string
  /** What results name: the file, of several the first, or the folder of the one series in it. */
  name: string
  /** Paths as given. */
  files: string[]
}

/** A file by its name and how it begins: 132 bytes or more. */
export interface VolumeFile {
  path: string
  start: Uint8Array
  /** The folder or archive that it was found in; absent of a file that was named itself. */
  root?: string
  /** Of DICOM its SeriesInstanceUID, null where it has none; `unreadable`: a case by itself, which fails with the reason. */
  series?: { uid: string | null } | 'unreadable' | undefined
}

/** Which series a DICOM file belongs to; undefined of any other. */
export function seriesOf(bytes: Uint8Array): VolumeFile['series'] {
  if (!isDicom(bytes)) return undefined
  try {
    return { uid: readDicomHeader(bytes).seriesUid }
  } catch (cause) {
    if (!(cause instanceof ImageError)) throw cause
    return 'unreadable'
  }
}

const NIFTI = /\.nii(\.gz)?$/i
const CHANNEL = /_(\d{4})\.nii(\.gz)?$/i
const IMAGE_CHANNEL = /_(\d{4})(\.[a-z]+)$/i

/** What a package takes. */
export type Takes = Pick<VolumeSpec, 'channels' | 'distance_unit'>

/** Files of a folder or an archive that hold voxels, by what they are called or begin with. */
export function isVolumeFile({ path, start }: VolumeFile): boolean {
  return NIFTI.test(path) || (isDicom(start) && basename(path) !== 'DICOMDIR')
}

/**
 * Files of a folder or an archive that a package may take: volumes; or images by what they begin with. What is called an
 * image and is none, and DICOM, count as images: they fail with the reason.
 */
export function isCaseFile(file: VolumeFile, { distance_unit }: Takes): boolean {
  return distance_unit !== 'px'
    ? isVolumeFile(file)
    : isRaster(file.start) ||
        isImageName(file.path) ||
        (isDicom(file.start) && basename(file.path) !== 'DICOMDIR')
}

/**
 * Which files make a case: the DICOM files of a series, in whatever folders below the one that was named; any other by itself, or with those that differ in a channel
 * such as _0000 alone where the package takes several channels.
 */
export function casesOfFiles(files: readonly VolumeFile[], { channels, distance_unit }: Takes): VolumeCase[] {
  return distance_unit === 'px' ? imageCases(files, channels) : volumeCases(files, channels)
}

/**
 * The same of 2D images. Frames of a video are numbered as channels are, so that images are put together only where
 * their numbers are just those of the channels, 0000 and on.
 */
function imageCases(files: readonly VolumeFile[], channels: number): VolumeCase[] {
  const groups = Map.groupBy(files, ({ path }) => path.replace(IMAGE_CHANNEL, '$2'))
  return withDistinctIds(
    [...groups].flatMap(([path, members]) => {
      const sorted = members.map((one) => one.path).sort()
      const numbers = sorted.map((member) => Number(IMAGE_CHANNEL.exec(member)?.[1] ?? Number.NaN))
      const isWhole =
        channels > 1 && numbers.every((n, i) => n === i) && !(members.length > 1 && members.some(isColourPng))
      if (isWhole && (numbers.length === channels || numbers.length === 1))
        return [{ case_id: withoutExtension(basename(path)), name: sorted[0]!, files: sorted }]
      return sorted.map((one) => ({ case_id: withoutExtension(basename(one)), name: one, files: [one] }))
    }),
  )
}

/** RGB, with alpha or not, or with a palette: three channels by itself. */
function isColourPng({ start }: VolumeFile): boolean {
  return rasterFormat(start) === 'png' && [2, 3, 6].includes(start[25]!)
}

/** The same of volumes, of a package of so many channels. */
export function volumeCases(files: readonly VolumeFile[], channels: number): VolumeCase[] {
  const dicom = files.filter(({ start }) => isDicom(start))
  const others = files.filter(({ start }) => !isDicom(start))
  const paths = (some: readonly VolumeFile[]) => some.map(({ path }) => path)
  return withDistinctIds([...byChannel(paths(others), channels), ...bySeries(dicom)])
}

function byChannel(files: readonly string[], channels: number): VolumeCase[] {
  const stemOf = (file: string) => (channels > 1 ? file.replace(CHANNEL, '') : file)
  return [...Map.groupBy(files, stemOf).values()].map((members) => {
    const sorted = [...members].sort()
    const first = sorted[0]!
    return { case_id: basename(stemOf(first)).replace(NIFTI, ''), name: first, files: sorted }
  })
}

/** A series alone in its folder goes by the folder, another of several there by its first file. */
function bySeries(files: readonly VolumeFile[]): VolumeCase[] {
  const keyOf = ({ path, root, series }: VolumeFile) =>
    series === 'unreadable' ? `file ${path}` : `${root ?? ''} ${series?.uid ?? dirname(path)}`
  const groups = [...Map.groupBy(files, keyOf).values()].map((members) => ({
    // A broken file, or a single one that was named itself.
    isFile: members[0]!.series === 'unreadable' || (members.length === 1 && members[0]!.root === undefined),
    folders: new Set(members.map(({ path }) => dirname(path))),
    files: members.map(({ path }) => path).sort(),
  }))
  return groups.map((group) => {
    const { isFile, folders, files } = group
    const isAlone = !groups.some(
      (other) => other !== group && !other.isFile && [...folders].some((folder) => other.folders.has(folder)),
    )
    if (!isFile && isAlone) {
      const folder = commonFolder([...folders])
      return { case_id: basename(folder), name: folder, files }
    }
    const stem = basename(files[0]!).replace(/(?<=.)\.dcm$/i, '')
    return { case_id: stem, name: files[0]!, files }
  })
}

function commonFolder(folders: readonly string[]): string {
  const [first, ...others] = folders
  return others.reduce((at, folder) => {
    let common = at
    while (common !== dirname(common) && folder !== common && !folder.startsWith(`${common}/`))
      common = dirname(common)
    return common
  }, first!)
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
