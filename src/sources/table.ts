import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { CsvError } from 'csv-parse'
import { parse } from 'csv-parse/sync'
import { UserError } from '../schema/errors.ts'
import { nearest } from '../schema/parse.ts'
import { explainReading } from '../storage/local.ts'
import { firstFew } from './source_data.ts'

export interface Row {
  /** Line of the file, 1-based, for messages. */
  line: number
  cells: string[]
}

export interface Table {
  /** File name, for messages. */
  name: string
  columns: string[]
  rows: Row[]
}

/**
 * Reads a comma-, semicolon- or tab-separated table with a header line. Byte-order marks, CRLF, quoted cells,
 * empty lines and UTF-16 (as spreadsheets export it) are understood; cells are text, trimmed.
 *
 * @throws {UserError} when the file is missing, not text, or a row does not fit the header
 */
export async function readTable(path: string): Promise<Table> {
  const bytes = await readFile(path).catch((cause) => Promise.reject(explainReading(cause, path)))
  return parseTable(bytes, path)
}

/** How messages name a table: by its file, or by the whole path of a pipe such as `<(…)` makes, whose last part is a number. */
export const tableName = (path: string): string => (/^\/(dev|proc)\//.test(path) ? path : basename(path))

/** A table from a file's bytes; `path` names it in messages. */
export function parseTable(bytes: Uint8Array, path: string): Table {
  const name = tableName(path)
  const text = decodeText(bytes, path)
  let records: { record: string[]; info: { lines: number } }[]
  try {
    records = parse(text, {
      bom: true,
      delimiter: delimiterOf(text, path),
      info: true,
      relax_column_count: true,
      skip_empty_lines: true,
      trim: true,
    }) as unknown as typeof records
  } catch (cause) {
    if (!(cause instanceof CsvError)) throw cause
    throw new UserError(
      `${name} is not a well-formed table: ${cause.message}.\n  in: ${path}\n  do: check the quotes on that line; a quote inside a quoted cell is doubled ("").`,
      { cause },
    )
  }
  const [header, ...rest] = records
  if (header === undefined)
    throw new UserError(`${name} is empty.\n  in: ${path}\n  do: give it a header line and a row an image.`)
  const columns = header.record
  const rows = rest
    .filter(({ record }) => record.some((cell) => cell !== ''))
    .map(({ record, info }) => ({ line: info.lines, cells: record }))
  const misfits = rows.filter(({ cells }) => !fits(cells, columns))
  if (misfits.length > 0) {
    const first = misfits[0]!
    throw new UserError(
      `${name}: ${misfits.length} of ${rows.length} rows do not fit the header's ${columns.length} columns; line ${first.line} has ${first.cells.length}.\n` +
        `  in: ${path}\n  lines: ${firstFew(misfits.map((row) => String(row.line)))}\n` +
        `  do: quote cells that contain the separator, and fill the missing cells.`,
    )
  }
  return { name, columns, rows }
}

/**
 * Index of a column by its exact name.
 *
 * @param key the recipe's key that names it, for the message
 * @throws {UserError} naming the columns found and the nearest one
 */
export function columnIndex(table: Table, name: string, key: string): number {
  const index = table.columns.indexOf(name)
  if (index < 0) {
    const near = nearest(name, table.columns)
    throw new UserError(
      `${table.name} has no column "${name}"${near ? `; did you mean "${near}"?` : ''}\n` +
        `  columns found: ${table.columns.map((column) => JSON.stringify(column)).join(', ')}\n  do: change ${key} in the recipe.`,
    )
  }
  if (table.columns.indexOf(name, index + 1) >= 0)
    throw new UserError(
      `${table.name} has two columns named "${name}"; ${key} cannot tell which is meant.\n  do: rename one of them.`,
    )
  return index
}

/** NIH's older header ends in an empty column that its rows need not have; any other missing cell is a mistake. */
function fits(cells: readonly string[], columns: readonly string[]): boolean {
  return (
    columns.slice(cells.length).every((column) => column === '') &&
    cells.slice(columns.length).every((cell) => cell === '')
  )
}

function decodeText(bytes: Uint8Array, path: string): string {
  const encoding =
    bytes[0] === 0xff && bytes[1] === 0xfe
      ? 'utf-16le'
      : bytes[0] === 0xfe && bytes[1] === 0xff
        ? 'utf-16be'
        : 'utf-8'
  try {
    const text = new TextDecoder(encoding, { fatal: true }).decode(bytes)
    const nul = text.indexOf('\0')
    if (nul < 0) return text
    throw new UserError(
      `${basename(path)} has a NUL byte on line ${text.slice(0, nul).split('\n').length}, which text does not hold.\n` +
        `  in: ${path}\n  do: export the table again; if it is UTF-16 without a byte-order mark, save it as "CSV UTF-8".`,
    )
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause
  }
  throw new UserError(
    `${basename(path)} is not UTF-8 text.\n  in: ${path}\n  do: save it as "CSV UTF-8" in the spreadsheet, or convert it: iconv -f latin1 -t utf8.`,
  )
}

/** The separator that the header uses most; a .tsv is tab-separated whatever its header. */
function delimiterOf(text: string, path: string): string {
  if (/\.(tsv|tab)$/i.test(path)) return '\t'
  const end = text.search(/[\r\n]/)
  const header = (end < 0 ? text : text.slice(0, end)).replace(/"(?:[^"]|"")*"/g, '')
  const counts = [',', ';', '\t'].map((separator) => [header.split(separator).length, separator] as const)
  return counts.reduce((best, next) => (next[0] > best[0] ? next : best))[1]
}
