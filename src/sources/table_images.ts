import { resolve } from 'node:path'
import type { CsvSource } from '../schema/data.ts'
import { UserError } from '../schema/errors.ts'
import { type FoundImage, findInFolders, imageFinder, imageFolders, pathBelowRoot } from './image_files.ts'
import { count, firstFew, type SourceData } from './source_data.ts'
import { columnIndex, type Row, type Table } from './table.ts'

/** Columns of a table that name files. */
export interface FileColumns {
  what: 'image' | 'mask'
  /** One, or one a channel. */
  columns: readonly string[]
  /** Folder below the root that paths are relative to, and the key that names it. */
  dir: string
  dirKey: 'images_dir' | 'masks_dir'
}

export interface TableFiles {
  /** Root-relative paths of each row's files, one a column, in row order; undefined where one is not there. */
  files: (string[] | undefined)[]
  skipped: SourceData['skipped']
}

export function imageColumns({ image, images_dir }: CsvSource): FileColumns {
  return { what: 'image', columns: [image].flat(), dir: images_dir, dirKey: 'images_dir' }
}

/** @param mask the column */
export function maskColumn({ images_dir, masks_dir }: CsvSource, mask: string): FileColumns {
  return masks_dir === undefined
    ? { what: 'mask', columns: [mask], dir: images_dir, dirKey: 'images_dir' }
    : { what: 'mask', columns: [mask], dir: masks_dir, dirKey: 'masks_dir' }
}

/**
 * Finds the files of every row.
 *
 * @param isNamed whether a file may be meant by its name alone where a cell leaves the extension out
 * @throws {UserError} when a path leads out of the root, or not one of the files is there
 */
export async function findTableFiles(
  table: Table,
  { what, columns, dir, dirKey }: FileColumns,
  root: string,
  isNamed: (name: string) => boolean,
): Promise<TableFiles> {
  const indices = columns.map((name) => columnIndex(table, name, `data.source.${what}`))
  const folders = await imageFolders(root, dir)
  if (folders.length === 0)
    throw new UserError(
      `data.source.${dirKey}: no folder matches ${dir}.\n  looked below: ${root}\n  do: mend the pattern.`,
    )
  const find = imageFinder(root, isNamed)
  const all: TableFiles['files'] = []
  const skipped: TableFiles['skipped'] = []
  const outside: { row: Row; cell: string }[] = []
  for (const row of table.rows) {
    const files: string[] = []
    for (const index of indices) {
      const cell = row.cells[index] ?? ''
      const paths = folders.map((folder) => (cell === '' ? '' : pathBelowRoot(root, folder, cell)))
      if (paths.includes(null)) {
        outside.push({ row, cell })
        break
      }
      const found: FoundImage =
        cell === ''
          ? {
              missing: `The ${what} column is empty on line ${row.line}. Name the file, or take the row out.`,
            }
          : await findInFolders(find, paths as string[])
      if ('missing' in found) {
        skipped.push({ file: paths[0] || `${table.name}:${row.line}`, reason: found.missing })
        break
      }
      files.push(found.path)
    }
    all.push(files.length === indices.length ? files : undefined)
  }
  if (outside.length > 0)
    throw new UserError(
      `${count(outside.length, 'row')} of ${table.name} ${outside.length === 1 ? `names ${what === 'mask' ? 'a mask' : 'an image'}` : `name ${what}s`} outside of data.root, which is refused.\n` +
        `  ${firstFew(outside.map(({ row, cell }) => `line ${row.line}: ${cell}`))}\n  data.root: ${root}\n` +
        `  do: set data.root to the folder that holds all ${what}s, and write paths relative to it (or to ${dirKey}).`,
    )
  if (table.rows.length > 0 && skipped.length === table.rows.length) {
    const examples = skipped.map(({ file }) => file)
    throw new UserError(
      `None of the ${table.rows.length} ${what}s that ${table.name} names in column "${columns.join('", "')}" is there, e.g. ${firstFew(examples, 3)}.\n` +
        `  looked below: ${resolve(root, dir)}\n  do: set data.root or data.source.${dirKey} to the folder that the paths are relative to.`,
    )
  }
  return { files: all, skipped }
}
