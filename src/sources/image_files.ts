import { readdir } from 'node:fs/promises'
import { isAbsolute, join, posix, relative, sep } from 'node:path'
import { isImageName, isVolumeName, withoutExtension } from '../imaging/image_names.ts'
import { UserError } from '../schema/errors.ts'
import { explain } from '../storage/local.ts'
import { isGarbled } from './folder_walk.ts'

/** Files that are medical or ordinary images but that this version does not read, by extension. */
export const UNREAD_IMAGE_EXTENSIONS: Record<string, string> = {
  '.dcm': 'DICOM',
  '.dicom': 'DICOM',
  '.nii': 'NIfTI',
  '.nii.gz': 'NIfTI',
  '.mha': 'MetaImage',
  '.mhd': 'MetaImage',
  '.nrrd': 'NRRD',
  '.svs': 'whole-slide image',
  '.ndpi': 'whole-slide image',
  '.mrxs': 'whole-slide image',
  '.bmp': 'BMP',
  '.gif': 'GIF',
  '.heic': 'HEIC',
  '.jp2': 'JPEG 2000',
  '.npy': 'NumPy array',
}

/** The format's name when the file is an image by its name that this version does not read. */
export function unreadFormat(name: string): string | undefined {
  const lower = name.toLowerCase()
  const extension = Object.keys(UNREAD_IMAGE_EXTENSIONS).find((known) => lower.endsWith(known))
  return extension && UNREAD_IMAGE_EXTENSIONS[extension]
}

/**
 * Of a recipe of images whose files are volumes by their names: not one could be read.
 *
 * @throws {UserError} saying how a recipe of volumes is told
 */
export function refuseVolumes(paths: readonly string[]): void {
  const first = paths.find(isVolumeName)
  if (first === undefined || paths.some(isImageName)) return
  throw new UserError(`The files are volumes, e.g. ${first}, and the recipe is of images.\n${VOLUMES_ADVICE}`)
}

export const VOLUMES_ADVICE =
  '  do: write prepare: { kind: volume, size: [z, y, x] }; "fiducial prepare" says which size would do.'

/**
 * Where a table's cell points, as a path relative to the root, or null when that lies outside of the root:
 * tables come from elsewhere and may name '../../etc/passwd'. Symbolic links inside the root are the owner's
 * own and are followed.
 */
export function pathBelowRoot(root: string, folder: string, cell: string): string | null {
  if (cell.includes('\0')) return null
  const path = relative(root, isAbsolute(cell) ? cell : join(root, folder, cell))
  if (path === '' || path === '..' || path.startsWith(`..${sep}`) || isAbsolute(path)) return null
  return path.split(sep).join('/')
}

export type FoundImage = { path: string } | { missing: string }
export type ImageFinder = (path: string) => Promise<FoundImage>

/**
 * Looks images up by root-relative path: as written, else by stem among a folder's images (a table that leaves
 * the extension out), else the same name in another Unicode form (archives made on macOS), else with
 * backslashes read as slashes. Each folder is listed once.
 *
 * @param isWanted tells images, or volumes, by their names where a stem is searched for
 */
export function imageFinder(root: string, isWanted = isImageName): ImageFinder {
  const folders = new Map<string, Promise<FolderListing>>()
  const list = (folder: string) => {
    const listing = folders.get(folder) ?? listFolder(root, folder, isWanted)
    folders.set(folder, listing)
    return listing
  }
  const find: ImageFinder = async (path) => {
    const folder = posix.dirname(path)
    const name = posix.basename(path)
    const at = (found: string) => ({ path: folder === '.' ? found : `${folder}/${found}` })
    const { files, stems, lower } = await list(folder)
    if (files.has(name)) return at(name)
    const matches = stems().get(name.normalize('NFC')) ?? []
    if (matches.length === 1) return at(matches[0]!)
    if (matches.length > 1)
      return {
        missing: `Several files match: ${matches.join(', ')}. Write the extension in the table, or remove all but one.`,
      }
    if (path.includes('\\')) {
      const slashed = posix.normalize(path.replaceAll('\\', '/'))
      if (!slashed.startsWith('..') && !slashed.startsWith('/')) return find(slashed)
    }
    const near = lower().get(name.toLowerCase())
    const garbled = [...files].filter(isGarbled).length
    const hint = near
      ? ` The folder holds "${near}": case differs.`
      : garbled > 0
        ? ` Of the names in its folder ${garbled} cannot be opened, as they are not UTF-8: rename those.`
        : ''
    return {
      missing: `There is no such file below data.root.${hint} Add the file, or take the row out of the table.`,
    }
  }
  return find
}

/** As `imageFinder`, over several folders; an image in two of them is ambiguous. */
export async function findInFolders(find: ImageFinder, paths: readonly string[]): Promise<FoundImage> {
  const found: string[] = []
  let missing: FoundImage = { missing: 'No folder matches images_dir.' }
  for (const path of paths) {
    const one = await find(path)
    if ('path' in one) found.push(one.path)
    else missing = one
  }
  if (found.length === 0) return missing
  if (found.length === 1) return { path: found[0]! }
  return {
    missing: `It lies in several folders: ${found.join(', ')}. Name the folder in the table, or remove all but one.`,
  }
}

/** Folders that `images_dir` stands for: itself, or those that match where it holds *, sorted. */
export async function imageFolders(root: string, pattern: string): Promise<string[]> {
  if (!pattern.includes('*')) return [pattern]
  let folders = ['']
  for (const segment of posix.normalize(pattern).split('/')) {
    const matches = new RegExp(
      `^${segment
        .split('*')
        .map((part) => part.replaceAll(/[\\^$.|?+()[\]{}]/g, '\\$&'))
        .join('.*')}$`,
    )
    const next: string[] = []
    for (const folder of folders) {
      if (!segment.includes('*')) {
        next.push(posix.join(folder, segment))
        continue
      }
      const entries = await readdir(join(root, folder), { withFileTypes: true }).catch(() => [])
      for (const entry of entries)
        if (!entry.isFile() && !entry.name.startsWith('.') && matches.test(entry.name))
          next.push(posix.join(folder, entry.name))
    }
    folders = next
  }
  return folders.sort()
}

interface FolderListing {
  files: Set<string>
  /** Image names and their stems, in NFC, to the names as they are on disk. */
  stems: () => Map<string, string[]>
  /** Names in lower case to the names as they are on disk. */
  lower: () => Map<string, string>
}

async function listFolder(
  root: string,
  folder: string,
  isWanted: (name: string) => boolean,
): Promise<FolderListing> {
  const entries = await readdir(join(root, folder), { withFileTypes: true }).catch((cause) => {
    const code = (cause as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG') return []
    throw explain(cause, join(root, folder))
  })
  const files = new Set(entries.filter((entry) => !entry.isDirectory()).map((entry) => entry.name))
  const stems = once(() => {
    const byStem = new Map<string, string[]>()
    for (const file of [...files].filter(isWanted).sort()) {
      for (const key of new Set([file.normalize('NFC'), withoutExtension(file).normalize('NFC')])) {
        const known = byStem.get(key)
        if (known) known.push(file)
        else byStem.set(key, [file])
      }
    }
    return byStem
  })
  const lower = once(() => new Map([...files].map((file) => [file.toLowerCase(), file])))
  return { files, stems, lower }
}

/** Computed when first asked for: most folders are never searched but by exact name. */
function once<T>(compute: () => T): () => T {
  let value: { is: T } | undefined
  return () => {
    value ??= { is: compute() }
    return value.is
  }
}
