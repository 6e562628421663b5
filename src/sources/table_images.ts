import { resolve } from 'node:path'
import type { CsvSource } from '../schema/data.ts'
import { UserError } from '../schema/errors.ts'
import { type FoundImage, findInFolders, imageFinder, imageFolders, pathBelowRoot } from './image_files.ts'
import { count, firstFew, type SourceData } from './source_data.ts'
import { columnIndex, type Row, type Table } from './table.ts'

export interface TableImages {
  /** Root-relative path of each row's image, in row order; undefined where it is not there. */
  images: (string | undefined)[]
  skipped: SourceData['skipped']
}

/**
 * Finds the image of every row, or its mask.
 *
 * @throws {UserError} when a path leads out of the root, or no image at all is there
 */
export async function findTableImages(
  source: CsvSource,
  table: Table,
  root: string,
  what: 'image' | 'mask' = 'image',
): Promise<TableImages> {
  const column = what === 'image' ? source.image : source.mask!
  const key = what === 'mask' && source.masks_dir !== undefined ? 'masks_dir' : 'images_dir'
  const dir = source[key]!
  const index = columnIndex(table, column, `data.source.${what}`)
  const folders = await imageFolders(root, dir)
  if (folders.length === 0)
    throw new UserError(
      `data.source.${key}: no folder matches ${dir}.\n  looked below: ${root}\n  do: mend the pattern.`,
    )
  const find = imageFinder(root)
  const images: TableImages['images'] = []
  const skipped: TableImages['skipped'] = []
  const outside: Row[] = []
  for (const row of table.rows) {
    const cell = row.cells[index] ?? ''
    const paths = folders.map((folder) => (cell === '' ? '' : pathBelowRoot(root, folder, cell)))
    if (paths.includes(null)) {
      outside.push(row)
      continue
    }
    const found: FoundImage =
      cell === ''
        ? { missing: `The ${what} column is empty on line ${row.line}. Name the file, or take the row out.` }
        : await findInFolders(find, paths as string[])
    images.push('path' in found ? found.path : undefined)
    if ('missing' in found)
      skipped.push({ file: paths[0] || `${table.name}:${row.line}`, reason: found.missing })
  }
  if (outside.length > 0)
    throw new UserError(
      `${count(outside.length, 'row')} of ${table.name} ${outside.length === 1 ? `names ${what === 'mask' ? 'a mask' : 'an image'}` : `name ${what}s`} outside of data.root, which is refused.\n` +
        `  ${firstFew(outside.map((row) => `line ${row.line}: ${row.cells[index]}`))}\n  data.root: ${root}\n` +
        '  do: set data.root to the folder that holds all images, and write paths relative to it (or to images_dir).',
    )
  if (table.rows.length > 0 && skipped.length === table.rows.length) {
    const examples = skipped.map(({ file }) => file)
    throw new UserError(
      `None of the ${table.rows.length} ${what}s that ${table.name} names in column "${column}" is there, e.g. ${firstFew(examples, 3)}.\n` +
        `  looked below: ${resolve(root, dir)}\n  do: set data.root or data.source.${key} to the folder that the paths are relative to.`,
    )
  }
  return { images, skipped }
}
