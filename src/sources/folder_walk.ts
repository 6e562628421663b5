import { readdir, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isImageName } from '../imaging/image_names.ts'
import { explain } from '../storage/local.ts'

export interface FolderContents {
  /** Root-relative paths with '/' between folders, in code-unit order. */
  images: string[]
  /** Visible files that are not images by their name. */
  others: string[]
  /** Entries that cannot be followed or opened, each with its reason. */
  unreadable: { file: string; reason: string }[]
}

export const GARBLED = 'The name is not UTF-8, so it cannot be opened. Rename it.'

/** Whether a name held bytes that are not UTF-8: they are replaced when it is read, and it then names nothing. */
export const isGarbled = (name: string) => name.includes('\uFFFD')

/**
 * Every visible file below `root`; those that `isWanted` knows by name, images unless given, are in `images`. Hidden entries
 * and archive droppings (`__MACOSX`) are ignored. Symbolic links are followed; a folder reached a second time, as a link in
 * a loop is, is not entered again.
 */
export async function walkFolder(
  root: string,
  isWanted: (name: string) => boolean = isImageName,
): Promise<FolderContents> {
  const found: FolderContents = { images: [], others: [], unreadable: [] }
  const entered = new Set<string>()
  const pending = ['']
  while (pending.length > 0) {
    const folder = pending.pop()!
    const path = join(root, folder)
    const real = await realpath(path)
    if (entered.has(real)) {
      found.unreadable.push({
        file: folder,
        reason: 'A link to a folder that is read already; not followed.',
      })
      continue
    }
    entered.add(real)
    const entries = await readdir(path, { withFileTypes: true }).catch((cause) =>
      Promise.reject(explain(cause, path)),
    )
    const folders: string[] = []
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (entry.name.startsWith('.') || entry.name === '__MACOSX') continue
      const file = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (isGarbled(entry.name)) {
        found.unreadable.push({ file, reason: GARBLED })
        continue
      }
      const kind = entry.isSymbolicLink() ? await stat(join(root, file)).catch(() => null) : entry
      if (kind === null)
        found.unreadable.push({ file, reason: 'A link that leads nowhere. Mend or remove it.' })
      else if (kind.isDirectory()) folders.push(file)
      else if (!kind.isFile()) found.unreadable.push({ file, reason: 'Not a regular file. Remove it.' })
      else if (isWanted(entry.name)) found.images.push(file)
      else found.others.push(file)
    }
    pending.push(...folders.reverse())
  }
  const byCodeUnit = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
  found.images.sort(byCodeUnit)
  found.others.sort(byCodeUnit)
  return found
}
