// What can be told of an image by its name: nothing is decoded by it, but folders are searched and cases named.
import type { ImageFormat } from './signature.ts'

/** Extensions of the images that folders are searched for. */
export const IMAGE_EXTENSIONS = ['.png', '.jpg', '.jpeg', '.tif', '.tiff', '.webp'] as const

export function isImageName(name: string): boolean {
  return extensionOf(name, IMAGE_EXTENSIONS) !== undefined
}

/** Extensions of the volumes that folders are searched for. */
const VOLUME_EXTENSIONS = ['.nii.gz', '.nii'] as const

export function isVolumeName(name: string): boolean {
  const lower = name.toLowerCase()
  return VOLUME_EXTENSIONS.some((known) => lower.endsWith(known))
}

/** A path without the extension of an image or volume, as cases are named; dots that are part of the name stay. */
export function withoutExtension(path: string): string {
  const stem = path.slice(
    0,
    path.length - (extensionOf(path, [...IMAGE_EXTENSIONS, ...VOLUME_EXTENSIONS])?.length ?? 0),
  )
  return stem === '' || stem.endsWith('/') ? path : stem
}

function extensionOf(path: string, among: readonly string[]): string | undefined {
  const lower = path.toLowerCase()
  return among.find((known) => lower.endsWith(known))
}

const FORMAT_OF_EXTENSION: Record<string, ImageFormat> = {
  png: 'png',
  apng: 'png',
  jpg: 'jpeg',
  jpeg: 'jpeg',
  jpe: 'jpeg',
  jfif: 'jpeg',
  tif: 'tiff',
  tiff: 'tiff',
  webp: 'webp',
  dcm: 'dicom',
}

/**
 * A note when a file's name promises another format than its bytes hold; the bytes were believed. Else null, also
 * for what follows a dot without being an image's extension.
 */
export function extensionNote(fileName: string, format: ImageFormat): string | null {
  const extension = /\.([^./\\]+)$/.exec(fileName)?.[1]?.toLowerCase()
  const promised =
    extension && Object.hasOwn(FORMAT_OF_EXTENSION, extension) && FORMAT_OF_EXTENSION[extension]
  if (!promised || promised === format) return null
  return `The name ends in .${extension} but the file is ${format.toUpperCase()}; it was read as ${format.toUpperCase()}.`
}
