import { resolve } from 'node:path'
import { isImageName, isVolumeName } from '../imaging/image_names.ts'
import type { CsvSource } from '../schema/data.ts'
import { UserError } from '../schema/errors.ts'
import { type FoundImage, findInFolders, imageFinder, imageFolders, pathBelowRoot } from './image_files.ts'
import { count, firstFew, type SourceData } from './source_data.ts'
import { columnIndex, type Row, type Table } from './table.ts'

export interface TableImages {
  /** Root-relative paths of each row's image, or of its channels, in row order; undefined where one is not there. */
  images: (string[] | undefined)[]
  skipped: SourceData['skipped']
}

/**
 * Finds the image of every row.
 *
 * @throws {UserError} when a path leads out of the root, or no image at all is there
 */
export async function findTableImages(
  source: CsvSource,
  table: Table,
  root: string,
  isOfVolumes = false,
): Promise<TableImages> {
  const columns = [source.image].flat()
  const indices = columns.map((name) => columnIndex(table, name, 'data.source.image'))
  const folders = await imageFolders(root, source.images_dir)
  if (folders.length === 0)
    throw new UserError(
      `data.source.images_dir: no folder matches ${source.images_dir}.\n  looked below: ${root}\n  do: mend the pattern.`,
    )
  const find = imageFinder(root, isOfVolumes ? isVolumeName : isImageName)
  const images: TableImages['images'] = []
  const skipped: TableImages['skipped'] = []
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
          ? { missing: `The image column is empty on line ${row.line}. Name the file, or take the row out.` }
          : await findInFolders(find, paths as string[])
      if ('missing' in found) {
        skipped.push({ file: paths[0] || `${table.name}:${row.line}`, reason: found.missing })
        break
      }
      files.push(found.path)
    }
    images.push(files.length === indices.length ? files : undefined)
  }
  if (outside.length > 0)
    throw new UserError(
      `${count(outside.length, 'row')} of ${table.name} ${outside.length === 1 ? 'names an image' : 'name images'} outside of data.root, which is refused.\n` +
        `  ${firstFew(outside.map(({ row, cell }) => `line ${row.line}: ${cell}`))}\n  data.root: ${root}\n` +
        '  do: set data.root to the folder that holds all images, and write paths relative to it (or to images_dir).',
    )
  if (table.rows.length > 0 && skipped.length === table.rows.length) {
    const examples = skipped.map(({ file }) => file)
    throw new UserError(
      `None of the ${table.rows.length} images that ${table.name} names in column "${columns.join('", "')}" is there, e.g. ${firstFew(examples, 3)}.\n` +
        `  looked below: ${resolve(root, source.images_dir)}\n  do: set data.root or data.source.images_dir to the folder that the paths are relative to.`,
    )
  }
  return { images, skipped }
}
