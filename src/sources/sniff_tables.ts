import { basename, dirname, join, posix } from 'node:path'
import { isImageName } from '../imaging/image_names.ts'
import { UserError } from '../schema/errors.ts'
import type { FolderContents } from './folder_walk.ts'
import { imageFinder } from './image_files.ts'
import { type Draft, RANDOM_SPLIT, type SourceDraft } from './sniff_draft.ts'
import { guessColumns, guessImageColumn } from './sniff_table.ts'
import { count, firstFew } from './source_data.ts'
import { readTable, type Table } from './table.ts'

/** The longest table, among those at most a folder deep, that names images; or why one that does is of no use. */
export async function sniffTables(
  root: string,
  contents: FolderContents,
  isWanted = isImageName,
): Promise<{ draft?: Draft; failure?: UserError }> {
  const files = contents.others.filter((file) => /\.(csv|tsv)$/i.test(file) && file.split('/').length <= 2)
  const folders = foldersOf(contents)
  const drafts: { draft: Draft; rows: number; file: string }[] = []
  const failures: UserError[] = []
  for (const file of files.slice(0, 20)) {
    try {
      const table = await readTable(join(root, file))
      const draft =
        (await sniffTable(table, file, root, folders, isWanted)) ??
        (await sniffFromParent(table, file, root, isWanted))
      if (draft) drafts.push({ draft, rows: table.rows.length, file })
    } catch (cause) {
      if (!(cause instanceof UserError)) throw cause
      failures.push(cause)
    }
  }
  const best = drafts.sort((a, b) => b.rows - a.rows)[0]
  if (best === undefined) return failures[0] ? { failure: failures[0] } : {}
  if (drafts.length > 1)
    best.draft.unsure.push(
      `${count(drafts.length, 'table')} describe images here; the longest was taken, not ${firstFew(drafts.slice(1).map((d) => d.file))}`,
    )
  return { draft: best.draft }
}

/** Folders of images and those above them, the nearest to the root first; past 200 a table would name them itself. */
export function foldersOf(contents: FolderContents): string[] {
  const folders = new Set([''])
  for (const image of contents.images)
    for (let at = posix.dirname(image); at !== '.' && !folders.has(at); at = posix.dirname(at))
      folders.add(at)
  return [...folders].sort((a, b) => a.split('/').length - b.split('/').length).slice(0, 200)
}

/** A table whose paths start with the name of the folder it lies in, as CheXpert's do. */
export function sniffFromParent(
  table: Table,
  file: string,
  folder: string,
  isWanted = isImageName,
): Promise<Draft | null> {
  return sniffTable(table, `${basename(folder)}/${file}`, dirname(folder), [''], isWanted)
}

export async function sniffTable(
  table: Table,
  file: string,
  root: string,
  folders: readonly string[],
  isWanted = isImageName,
): Promise<Draft | null> {
  if (table.rows.length === 0) return null
  const column = await guessImageColumn(table, root, folders, imageFinder(root, isWanted))
  if (!column) return null
  const guess = guessColumns(table, column.image)
  const { labels } = guess
  const source: SourceDraft = {
    kind: 'csv',
    file,
    image: column.image,
    ...(column.images_dir ? { images_dir: column.images_dir } : {}),
    ...(guess.patient ? { patient: guess.patient } : {}),
    labels: labels.config,
    ...(guess.attributes.length > 0 ? { attributes: guess.attributes } : {}),
  }
  return {
    root,
    source,
    split: guess.part ? { column: guess.part } : { ...RANDOM_SPLIT },
    labels: labels.labels,
    exclusive: labels.exclusive,
    found: [
      `a table, ${file}, with ${count(table.rows.length, 'row')}; column "${column.image}" names the images${column.images_dir ? `, below ${column.images_dir}/` : ''}`,
      ...guess.found,
    ],
    unsure: guess.unsure,
  }
}
