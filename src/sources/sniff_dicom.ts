import { join } from 'node:path'
import { DICOM_ATTRIBUTES } from '../schema/data.ts'
import { UserError } from '../schema/errors.ts'
import type { DicomHeader } from './dicom_header.ts'
import { type DicomTree, readDicomTree } from './dicom_tree.ts'
import type { FolderContents } from './folder_walk.ts'
import { type Draft, RANDOM_SPLIT, type SourceDraft } from './sniff_draft.ts'
import { type Column, guessLabels } from './sniff_label_columns.ts'
import { count } from './source_data.ts'
import { readTable, type Table } from './table.ts'

/** A series of so many images is a volume rather than views of one examination. */
const FEWEST_SLICES = 8

/**
 * A draft for a folder of DICOM images with a table of labels. It names no patient, UID or file of the images.
 *
 * @returns null if the folder holds no DICOM
 * @throws {UserError} with what to write if no table is about the files, or they are series of slices
 */
export async function sniffDicom(root: string, contents: FolderContents): Promise<Draft | null> {
  const tree = await readDicomTree(root)
  const headers = tree.files.map(({ header }) => header).filter(({ frames }) => frames > 0)
  if (headers.length === 0) return null
  const patients = new Set(headers.map(({ patient, study }) => patient ?? study)).size
  const modalities = [...new Set(headers.map(({ modality }) => modality ?? 'none'))].sort()
  const found = [
    `${count(headers.length, 'DICOM image')} (${modalities.join(', ')}) of ${count(patients, 'patient')}, by PatientID`,
    'cases go by salted hashes; data.previews: true would show their pixels in reports',
  ]
  if (isOfSlices(headers)) throw new UserError(volumesAdvice(root, headers, tree))
  const named = await labelTable(root, contents, headers)
  if (named === null) throw new UserError(labelsAdvice(root, headers))
  const { file, key, table, column } = named
  const unsure: string[] = []
  const others = table.columns
    .map((name, index): Column => ({ name, values: valuesOf(table, index) }))
    .filter(({ name }) => name !== column)
  const labels = guessLabels(table, others, found, unsure)
  found.splice(
    1,
    0,
    `a table, ${file}, with ${count(table.rows.length, 'row')} by ${key} in column "${column}"`,
  )
  const attributes = DICOM_ATTRIBUTES.filter(
    (name) => name !== 'model' && new Set(headers.map((header) => header.attributes[name] ?? null)).size > 1,
  )
  const source: SourceDraft = {
    kind: 'dicom',
    labels: { file, key, key_column: column, ...labels.config },
    ...(attributes.length > 0 ? { attributes } : {}),
  }
  return {
    root,
    source,
    split: { ...RANDOM_SPLIT },
    labels: labels.labels,
    exclusive: labels.exclusive,
    found,
    unsure,
  }
}

const KEYS = ['accession', 'study', 'series', 'instance'] as const

/** The table of which most rows are about the files, by one of the keys. */
async function labelTable(root: string, contents: FolderContents, headers: readonly DicomHeader[]) {
  const known = KEYS.map((key) => [key, new Set(headers.map((header) => header[key]))] as const)
  let best: { file: string; table: Table; column: string; key: string; hits: number } | null = null
  const files = contents.others.filter((file) => /\.(csv|tsv)$/i.test(file) && file.split('/').length <= 2)
  for (const file of files.slice(0, 20)) {
    const table = await readTable(join(root, file)).catch((error) => {
      if (error instanceof UserError) return null // what is wrong with a table matters if it is the one
      throw error
    })
    for (const [index, column] of (table?.columns ?? []).entries())
      for (const [key, values] of known) {
        const hits = table!.rows.filter(({ cells }) => cells[index] && values.has(cells[index])).length
        if (hits > (best?.hits ?? 0)) best = { file, table: table!, column, key, hits }
      }
  }
  return best
}

function valuesOf(table: Table, index: number): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { cells } of table.rows)
    counts.set(cells[index] ?? '', (counts.get(cells[index] ?? '') ?? 0) + 1)
  return counts
}

function isOfSlices(headers: readonly DicomHeader[]): boolean {
  const bySeries = Map.groupBy(headers, ({ series }) => series)
  const within = [...bySeries.values()].filter((members) => members.length >= FEWEST_SLICES)
  return within.reduce((sum, members) => sum + members.length, 0) > headers.length / 2
}

function volumesAdvice(root: string, headers: readonly DicomHeader[], { files }: DicomTree): string {
  const series = new Set(headers.map((header) => header.series)).size
  const masks = files.filter(({ header }) => header.drawn_on !== null).length
  const segment = masks > 0
  return (
    `${root} holds ${series} series of slices${segment ? `, and ${count(masks, 'mask')} drawn on them` : ''}: volumes, for which a recipe is written by hand.\n` +
    '  do: write it, e.g.\n' +
    `        name: volumes\n        data: { root: ${root}, source: ${segment ? 'dicom' : '{ kind: dicom, labels: { file: labels.csv, key: series, key_column: series, column: label } }'} }\n` +
    '        prepare: { kind: volume, spacing_mm: [3, 1, 1]' +
    `${segment ? '' : ', size: [64, 128, 128]'} }\n` +
    `        task: ${segment ? '{ kind: segment, labels: { <name of the segment>: 1 } }' : '{ kind: classify, labels: [<label>] }\n        model: resnet3d'}`
  )
}

function labelsAdvice(root: string, headers: readonly DicomHeader[]): string {
  return (
    `${root} holds ${count(headers.length, 'DICOM image')}, but no table says what they show: none names them by accession number, or by study, series or instance UID.\n` +
    '  do: write a table beside them, labels.csv, with a row an examination, and run this again:\n' +
    '        accession,label\n        <accession number>,<class>'
  )
}
