import { resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Labels } from '../schema/case.ts'
import type { DicomSource } from '../schema/data.ts'
import { UserError } from '../schema/errors.ts'
import type { DicomHeader } from './dicom_header.ts'
import { readLabels } from './label_cells.ts'
import { count, firstFew } from './source_data.ts'
import { columnIndex, readTable } from './table.ts'

/** Labels of the cases that a table names, looked up by what their files say of themselves. */
export class DicomLabels {
  readonly #key: Key
  readonly #rows: ReadonlyMap<string, Labels>
  readonly #used = new Set<string>()

  private constructor(key: Key, rows: ReadonlyMap<string, Labels>) {
    this.#key = key
    this.#rows = rows
  }

  /** @throws {UserError} if the table does not fit the recipe, or rows of one key contradict each other */
  static async read(config: LabelTable, root: string, labels: readonly string[]): Promise<DicomLabels> {
    const table = await readTable(resolve(root, config.file))
    const index = columnIndex(table, config.key_column, 'data.source.labels.key_column')
    const read = readLabels(config, table, labels)
    const rows = new Map<string, Labels>()
    const contradicted: number[] = []
    for (const [i, { cells, line }] of table.rows.entries()) {
      const key = cells[index] ?? ''
      if (key === '') continue
      const earlier = rows.get(key)
      if (earlier !== undefined && !isDeepStrictEqual(earlier, read[i])) contradicted.push(line)
      rows.set(key, read[i]!)
    }
    if (contradicted.length > 0)
      throw new UserError(
        `${count(contradicted.length, 'row')} of ${table.name} ${contradicted.length === 1 ? 'contradicts' : 'contradict'} an earlier row of the same ${WORDS[config.key]}: line ${firstFew(contradicted.map(String))}.\n` +
          '  do: keep one row for each.',
      )
    return new DicomLabels(config.key, rows)
  }

  /** Null if no row is about the file. */
  of(header: DicomHeader): Labels | null {
    const key = header[this.#key]
    const labels = key === null ? undefined : this.#rows.get(key)
    if (labels === undefined) return null
    this.#used.add(key!)
    return labels
  }

  /** What the table and the files do not share, counted. */
  warnings(numWithout: number, noun: string): string[] {
    const word = WORDS[this.#key]
    const unused = this.#rows.size - this.#used.size
    return [
      ...(numWithout === 0
        ? []
        : [`${count(numWithout, noun)} without a row in the table of labels, by ${word}: left out.`]),
      ...(unused === 0 ? [] : [`${count(unused, 'row')} of the table of labels without a file, by ${word}.`]),
    ]
  }

  /** @throws {UserError} saying what the files and the table have in common, if that is nothing */
  refuseNone(numCases: number): void {
    if (numCases > 0 || this.#used.size > 0) return
    throw new UserError(
      `No row of the table of labels is about any of the files, by ${WORDS[this.#key]}.\n` +
        '  do: check data.source.labels.key (accession, study, series or instance) and key_column; UIDs and numbers must be written as in the files, leading zeros included.',
    )
  }
}

type LabelTable = NonNullable<DicomSource['labels']>
type Key = LabelTable['key']
const WORDS: Record<Key, string> = {
  accession: 'accession number',
  study: 'study UID',
  series: 'series UID',
  instance: 'instance UID',
}
