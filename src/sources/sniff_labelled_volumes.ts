import { stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { isVolumeName } from '../imaging/image_names.ts'
import { UserError } from '../schema/errors.ts'
import { walkFolder } from './folder_walk.ts'
import { imageFinder, pathBelowRoot } from './image_files.ts'
import { readDraft } from './sniff.ts'
import { sniffClassFolders } from './sniff_class_folders.ts'
import type { Draft } from './sniff_draft.ts'
import { evenly } from './sniff_images.ts'
import { foldersOf, sniffFromParent, sniffTable, sniffTables } from './sniff_tables.ts'
import { count, firstFew, type SourceData } from './source_data.ts'
import { readTable, type Table } from './table.ts'
import { lookAtVolumes, type VolumesLook } from './volumes_look.ts'

/** What a folder or table of volumes with labels was taken for: enough to write a recipe, with what it rests on. */
export interface SniffedLabelledVolumes extends Draft {
  data: SourceData
  look: VolumesLook
}

/**
 * NIfTI volumes with a label each: in class folders, or named by a table.
 *
 * @returns null for anything else
 * @throws {UserError} when they are that, and nothing says what they show, or none can be read
 */
export async function sniffLabelledVolumes(
  path: string,
  signal?: AbortSignal,
): Promise<SniffedLabelledVolumes | null> {
  const absolute = resolve(path)
  const stats = await stat(absolute).catch(() => null)
  if (stats === null) return null
  const draft = stats.isDirectory() ? await draftOfFolder(absolute) : await draftOfTable(absolute)
  if (draft === null) return null
  await addChannels(draft)
  const data = await readDraft(draft, { isOfVolumes: true })
  if (!data.cases.every(({ images }) => images.every(isVolumeName))) return null
  const { look, warnings } = await lookAtVolumes(draft.root, data.cases, [], data.volumes, signal)
  if (look === null) throw new UserError(`None of the volumes can be read.\n  ${warnings.join('\n  ')}`)
  const patients = new Set(data.cases.map((one) => one.patient_id)).size
  if (patients < 20)
    draft.unsure.push(
      `${count(patients, 'patient')} ${patients === 1 ? 'is' : 'are'} few to split in three; whatever is measured will be very uncertain`,
    )
  return { ...draft, look, data: { ...data, warnings: [...data.warnings, ...warnings] } }
}

async function draftOfFolder(folder: string): Promise<Draft | null> {
  if ((await walkFolder(folder)).images.length > 0) return null
  const contents = await walkFolder(folder, isVolumeName)
  if (contents.images.length === 0) return null
  const { draft, failure } = await sniffTables(folder, contents, isVolumeName)
  if (draft) return draft
  try {
    return sniffClassFolders(folder, contents)
  } catch (cause) {
    // Without class folders it is the table that must be mended.
    throw cause instanceof UserError && failure ? failure : cause
  }
}

async function draftOfTable(path: string): Promise<Draft | null> {
  if (!/\.(csv|tsv|tab|txt)$/i.test(path)) return null
  const root = dirname(path)
  const table = await readTable(path)
  if (!table.rows.some(({ cells }) => cells.some((cell) => isVolumeName(cell)))) return null
  const folders = foldersOf(await walkFolder(root, isVolumeName))
  return (
    (await sniffTable(table, basename(path), root, folders, isVolumeName)) ??
    (await sniffFromParent(table, basename(path), root, isVolumeName))
  )
}

/** Of a table with several columns of volumes each is a channel, in their order. */
async function addChannels(draft: Draft): Promise<void> {
  const { source, root } = draft
  if (source.kind !== 'csv') return
  const table = await readTable(join(root, String(source.file)))
  const columns = await volumeColumns(table, root, String(source.images_dir ?? ''))
  if (columns.length < 2) return
  source.image = columns
  draft.found.push(`a file a channel, in the order of the columns ${firstFew(columns)}`)
  draft.unsure.push('several columns name volumes and became channels; leave out those that are none')
}

/** A drawing of the answer, which a classification must not see. */
const MASK = /mask|seg|label|annotation|roi|truth/i

/** Columns that name volumes, those of drawings left out. */
export async function volumeColumns(table: Table, root: string, folder: string): Promise<string[]> {
  const find = imageFinder(root, isVolumeName)
  const rows = evenly(table.rows, 20)
  const columns: string[] = []
  for (const [index, name] of table.columns.entries()) {
    if (MASK.test(name)) continue
    let hits = 0
    for (const { cells } of rows) {
      const path = cells[index] ? pathBelowRoot(root, folder, cells[index]) : null
      const found = path === null ? null : await find(path)
      if (found !== null && 'path' in found && isVolumeName(found.path)) hits++
    }
    if (hits >= rows.length / 2) columns.push(name)
  }
  return columns
}
