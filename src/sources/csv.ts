import { resolve } from 'node:path'
import { isImageName, isVolumeName } from '../imaging/image_names.ts'
import type { Attributes, Case, SplitPart } from '../schema/case.ts'
import type { CsvSource } from '../schema/data.ts'
import { UserError } from '../schema/errors.ts'
import { type SegmentTask, type Structure, structuresOf } from '../schema/task.ts'
import { defaultCaseIds } from './case_ids.ts'
import { refuseVolumes } from './image_files.ts'
import { readLabels } from './label_cells.ts'
import { partNamed } from './part_names.ts'
import { patientPattern } from './patient_pattern.ts'
import { count, firstFew, type SourceData, type SourceRequest } from './source_data.ts'
import { columnIndex, readTable, type Table } from './table.ts'
import { findTableFiles, imageColumns, maskColumn, type TableFiles } from './table_images.ts'

/**
 * A table with a row an image, or a volume. Cases keep the order of the rows.
 *
 * A missing image file is skipped and listed; a row that repeats an image and agrees in everything is merged
 * with a warning; rows that contradict each other, or two images under one case id, are errors.
 */
export async function readCsv(source: CsvSource, request: SourceRequest): Promise<SourceData> {
  if (source.labels === undefined)
    throw new UserError(
      'data.source.labels is missing: nothing says which columns hold the labels.\n' +
        '  do: write labels: { column: … } or { columns: { … } }.',
    )
  const table = await readTable(resolve(request.root, source.file))
  const labels = readLabels(source.labels, table, request.task.labels)
  return readRows(source, request, table, { names: request.task.labels, labels, masks: null })
}

/**
 * A table with a row an image and its mask. Which structures a mask holds is known once it is read; the task names what
 * its values mean, and no other value may occur.
 */
export async function readCsvMasks(
  source: CsvSource,
  request: SourceRequest<SegmentTask>,
): Promise<SourceData> {
  if (source.mask === undefined)
    throw new UserError(
      'data.source.mask is missing: nothing says which column names the masks.\n  do: write mask: <column>.',
    )
  const table = await readTable(resolve(request.root, source.file))
  const structures = structuresOf(request.task)
  const names = structures.map(({ name }) => name)
  const unknown = Object.fromEntries(names.map((name): [string, null] => [name, null]))
  const masks = await findTableFiles(table, maskColumn(source, source.mask), request.root, isRasterOrVolume)
  const read = await readRows(source, request, table, {
    names,
    labels: table.rows.map(() => unknown),
    masks,
  })
  return { ...read, volumes: { modalities: null, maskValues: maskValuesOf(structures) } }
}

/** Value → the structures that it belongs to. */
function maskValuesOf(structures: readonly Structure[]): Map<number, string> {
  const values = [...new Set(structures.flatMap((one) => one.values))].sort((a, b) => a - b)
  const nameOf = (value: number) =>
    structures
      .filter((one) => one.values.includes(value))
      .map(({ name }) => name)
      .join(', ')
  return new Map([[0, 'background'], ...values.map((value): [number, string] => [value, nameOf(value)])])
}

async function readRows(
  source: CsvSource,
  { data, root, isOfVolumes }: Pick<SourceRequest, 'data' | 'root' | 'isOfVolumes'>,
  table: Table,
  about: { names: readonly string[]; labels: readonly Case['labels'][]; masks: TableFiles | null },
): Promise<SourceData> {
  const warnings: string[] = []
  const { names, labels, masks } = about
  const attributes = readAttributes(source.attributes, table)
  const parts = 'column' in data.split ? readParts(data.split.column, table, warnings) : undefined
  const cell = cellReader(source, table)
  const isNamed = masks !== null ? isRasterOrVolume : isOfVolumes ? isVolumeName : isImageName
  const found = await findTableFiles(table, imageColumns(source), root, isNamed)
  const images = found.files.map((files, i) => (masks && masks.files[i] === undefined ? undefined : files))
  const skipped = [...found.skipped, ...(masks?.skipped ?? [])]
  if (!isOfVolumes && masks === null) refuseVolumes(images.flatMap((files) => files ?? []))
  const patients = readPatients(source, table, images, warnings)

  const used = table.rows.map((_, i) => i).filter((i) => images[i] !== undefined)
  const ids = defaultCaseIds(
    used.map((i) => images[i]![0]!),
    warnings,
  )
  const rows = used.map((i, k): CsvRow => {
    const row = table.rows[i]!
    const id = cell.case_id(row.cells) || ids[k]!
    return {
      line: row.line,
      case: {
        case_id: id,
        patient_id: patients[i] || id,
        images: images[i]!,
        ...(masks && { mask: masks.files[i]![0]! }),
        labels: labels[i]!,
        attributes: attributes[i]!,
        ...(parts?.[i] ? { split: parts[i] } : {}),
      },
    }
  })
  return {
    cases: mergeRepeats(rows, table.name, warnings),
    labels: [...names],
    warnings,
    has_given_split: parts !== undefined,
    synthetic: false,
    skipped,
  }
}

/** Masks may be drawn on either. */
export const isRasterOrVolume = (name: string) => isImageName(name) || isVolumeName(name)

interface CsvRow {
  line: number
  case: Case
}

function cellReader(source: CsvSource, table: Table) {
  const reader = (name: string | null | undefined, key: string) => {
    if (name === null || name === undefined) return () => ''
    const index = columnIndex(table, name, `data.source.${key}`)
    return (cells: readonly string[]) => cells[index] ?? ''
  }
  return {
    case_id: reader(source.case_id, 'case_id'),
  }
}

/** A column is numeric when all its filled cells are plain numbers; codes with leading zeros stay text. */
function readAttributes(columns: readonly string[], table: Table): Attributes[] {
  const readers = columns.map((name) => {
    const index = columnIndex(table, name, 'data.source.attributes')
    const filled = table.rows.map(({ cells }) => cells[index] ?? '').filter((cell) => cell !== '')
    const isNumeric = filled.every((cell) => /^-?(0|[1-9]\d*)(\.\d+)?$/.test(cell))
    return (cells: readonly string[]) => {
      const cell = cells[index] ?? ''
      return [name, cell === '' ? null : isNumeric ? Number(cell) : cell] as const
    }
  })
  return table.rows.map(({ cells }) => Object.fromEntries(readers.map((read) => read(cells))))
}

function readParts(column: string, table: Table, warnings: string[]): (SplitPart | undefined)[] {
  const index = columnIndex(table, column, 'data.split.column')
  const odd = new Map<string, number>()
  let empty = 0
  const parts = table.rows.map(({ cells }) => {
    const value = cells[index] ?? ''
    const part = partNamed(value)
    if (value === '') empty++
    else if (part === undefined) odd.set(value, (odd.get(value) ?? 0) + 1)
    return part
  })
  if (odd.size > 0)
    throw new UserError(
      `Column "${column}" of ${table.name} must hold train, val (valid, validation) or test; found ` +
        `${firstFew([...odd].sort((a, b) => b[1] - a[1]).map(([value, n]) => `${value} (${count(n, 'row')})`))}.\n  do: name another column in data.split.column, or drop it for a random split by patient.`,
    )
  if (empty > 0)
    warnings.push(
      `${count(empty, 'row')} of ${table.name} ${empty === 1 ? 'has' : 'have'} no part in column "${column}" and ${empty === 1 ? 'is' : 'are'} left out of training and evaluation.`,
    )
  return parts
}

/** A row's patient, or null where it counts as its own. */
function readPatients(
  source: CsvSource,
  table: Table,
  images: TableFiles['files'],
  warnings: string[],
): (string | null)[] {
  if (source.patient === null) {
    warnings.push(
      `No patient column is named (data.source.patient), so every image is its own patient: images of one patient may land on both sides of the split and flatter the result. Columns: ${firstFew(table.columns, 20)}.`,
    )
    return []
  }
  const isColumn = typeof source.patient === 'string'
  const column = typeof source.patient === 'string' ? source.patient : source.patient.column
  const index = columnIndex(table, column, `data.source.patient${isColumn ? '' : '.column'}`)
  const cells = table.rows.map((row) => row.cells[index] ?? '')
  if (typeof source.patient !== 'string')
    return patientPattern(source.patient.pattern, cells, 'data.source.patient.pattern', warnings)
  const empty = table.rows.filter((_, i) => images[i] !== undefined && cells[i] === '')
  if (empty.length > 0)
    warnings.push(
      `${count(empty.length, 'row')} of ${table.name} ${empty.length === 1 ? 'has' : 'have'} no patient id in column "${column}"; each such image counts as its own patient (lines ${firstFew(empty.map((row) => String(row.line)))}).`,
    )
  return cells
}

/** Keeps the first of rows that say the same of the same image. */
function mergeRepeats(rows: readonly CsvRow[], name: string, warnings: string[]): Case[] {
  const byImage = new Map<string, CsvRow>()
  const byId = new Map<string, CsvRow>()
  const conflicts: string[] = []
  let repeats = 0
  const kept: Case[] = []
  for (const row of rows) {
    const image = row.case.images[0]!
    const first = byImage.get(image) ?? byId.get(row.case.case_id)
    if (first === undefined) {
      byImage.set(image, row)
      byId.set(row.case.case_id, row)
      kept.push(row.case)
      continue
    }
    const differing = differences(first.case, row.case)
    if (differing.length === 0) repeats++
    else
      conflicts.push(
        `lines ${first.line} and ${row.line}: ${first.case.images[0] === image ? image : `case id ${row.case.case_id}`} (${differing.join(', ')} differ)`,
      )
  }
  if (conflicts.length > 0)
    throw new UserError(
      `${name} names ${count(conflicts.length, 'case')} twice with different contents:\n` +
        `${conflicts
          .slice(0, 10)
          .map((c) => `    ${JSON.stringify(c).slice(1, -1)}`)
          .join('\n')}${conflicts.length > 10 ? `\n    and ${conflicts.length - 10} more` : ''}\n` +
        '  do: keep one row an image; give different images different case ids.',
    )
  if (repeats > 0)
    warnings.push(
      `${count(repeats, 'row')} of ${name} ${repeats === 1 ? 'repeats' : 'repeat'} an earlier row and ${repeats === 1 ? 'is' : 'are'} merged with it.`,
    )
  return kept
}

function differences(a: Case, b: Case): string[] {
  const keys = ['images', 'mask', 'case_id', 'patient_id', 'labels', 'attributes', 'split'] as const
  return keys.filter((key) => JSON.stringify(a[key]) !== JSON.stringify(b[key]))
}
