import { basename, dirname } from 'node:path'
import { readDicomHeader } from '../imaging/dicom/instance.ts'
import { isDicom } from '../imaging/dicom/signature.ts'
import { ImageError } from '../imaging/image_error.ts'
import { isImageName, withoutExtension } from '../imaging/image_names.ts'
import { isRaster } from '../imaging/raster_volume.ts'
import { rasterFormat } from '../imaging/signature.ts'
import type { VolumeSpec } from '../schema/preprocess.ts'
import { withDistinctIds } from './distinct_ids.ts'

/** A case to segment: one file, one a channel, or the instances of a series. */
export interface VolumeCase {
  case_id: string
  /** What results name: the file, of several the first, or the folder of the one series in it. */
  name: string
  /** Paths as given. */
  files: string[]
  /** Why they make no case after all, for a person: it is listed as failed. */
  problem?: string
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

const NIFTI = /\.(nii(\.gz)?|hdr)$/i
const CHANNEL = /_(\d{4})\.(nii(\.gz)?|hdr)$/i
/** The voxels of a .hdr beside it. */
const PAIRED = /\.img$/i
const IMAGE_CHANNEL = /_(\d{4})(\.[a-z]+)$/i

/** What a package takes. */
export type Takes = Pick<VolumeSpec, 'channels' | 'distance_unit'>

/** Files of a folder or an archive that hold voxels, by what they are called or begin with. */
export function isVolumeFile({ path, start }: VolumeFile): boolean {
  return NIFTI.test(path) || PAIRED.test(path) || (isDicom(start) && basename(path) !== 'DICOMDIR')
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
    '_',
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
  const { files: headed, imageOf } = withoutPairedImages(paths(others))
  const volumes = byChannel(headed, channels).map((one) => ({
    ...one,
    files: one.files.flatMap((file) => [file, ...(imageOf.get(file) ?? [])]),
  }))
  return withDistinctIds([...volumes, ...bySeries(dicom)], '_')
}

/** The .hdr of a NIfTI pair stands for both; an .img without one stays, to be told that it cannot be read. */
function withoutPairedImages(files: readonly string[]) {
  const headers = new Map(
    files.filter((file) => /\.hdr$/i.test(file)).map((file) => [file.slice(0, -4), file]),
  )
  const headerOf = (file: string) => (PAIRED.test(file) ? headers.get(file.slice(0, -4)) : undefined)
  return {
    files: files.filter((file) => headerOf(file) === undefined),
    imageOf: new Map(
      files.flatMap((file): [string, string[]][] => {
        const header = headerOf(file)
        return header === undefined ? [] : [[header, [file]]]
      }),
    ),
  }
}

function byChannel(files: readonly string[], channels: number): VolumeCase[] {
  const stemOf = (file: string) => (channels > 1 ? file.replace(CHANNEL, '') : file)
  return [...Map.groupBy(files, stemOf).values()].map((members) => {
    const sorted = [...members].sort()
    const first = sorted[0]!
    const found = { case_id: basename(stemOf(first)).replace(NIFTI, ''), name: first, files: sorted }
    // A file by itself may hold all channels, whatever number ends its name.
    const problem = sorted.length > 1 ? channelProblem(sorted, channels) : null
    return problem === null ? found : { ...found, problem }
  })
}

/** Files are put together by their names alone: a gap in their numbers would move the channels behind it. */
function channelProblem(sorted: readonly string[], channels: number): string | null {
  const numbers = sorted.map((file) => Number(CHANNEL.exec(file)![1]))
  const wanted = Array.from({ length: channels }, (_, c) => c)
  if (numbers.length === channels && numbers.every((n, c) => n === c)) return null
  const ending = (n: number) => `_${String(n).padStart(4, '0')}`
  const twice = numbers.find((n, i) => n === numbers[i + 1])
  const missing = wanted.filter((c) => !numbers.includes(c))
  const wrong =
    twice !== undefined
      ? `two are ${ending(twice)}`
      : missing.length > 0
        ? `there is none for ${missing.map(ending).join(', ')}`
        : `${ending(numbers.find((n) => n >= channels)!)} is one too many`
  return (
    `The files of its channels end in ${numbers.map(ending).join(', ')}; the package takes ${channels} channels, ${ending(0)} to ${ending(channels - 1)}, and ${wrong}.\n` +
    '  do: give exactly one file a channel; files that hold all channels each need names that do not end in such a number.'
  )
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
