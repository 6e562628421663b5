import { dirname, resolve } from 'node:path'
import type { Labels } from '../schema/case.ts'
import { UserError } from '../schema/errors.ts'
import { columnIndex, readTable } from '../sources/table.ts'
import { readBytes, sha256File, stampFile } from '../storage/local.ts'

/** An image with the scores that a model gave it elsewhere. */
export interface ReferenceCase {
  /** As the table names it. */
  name: string
  file_sha256: string
  read(): Promise<Uint8Array>
  /** [L], 0..1 */
  scores: number[]
  truth: Labels
  patient_id: string | null
}

/**
 * Reads a table of reference cases: `file` (absolute, or relative to the table), a score column a label, and if known
 * `truth_<label>` (1, 0, or empty) and `patient_id`.
 *
 * @throws {UserError} listing every row that cannot be used, with its line
 */
export async function readReferenceCases(path: string, labels: readonly string[]): Promise<ReferenceCase[]> {
  const table = await readTable(path)
  const fileAt = columnIndex(table, 'file', 'the reference table')
  const scoreAt = labels.map((label) => columnIndex(table, label, 'labels'))
  const truthAt = labels.map((label) => table.columns.indexOf(`truth_${label}`))
  const patientAt = table.columns.indexOf('patient_id')
  const mistakes: string[] = []
  const cases: ReferenceCase[] = []
  for (const { line, cells } of table.rows) {
    const name = cells[fileAt]!
    const file = resolve(dirname(path), name)
    const scores = scoreAt.map((at) => (cells[at] === '' ? Number.NaN : Number(cells[at])))
    const truth = truthAt.map((at) => (at < 0 ? '' : cells[at]!))
    const wrong = scores.findIndex((p) => !(p >= 0 && p <= 1))
    const odd = truth.findIndex((value) => !['', '0', '1'].includes(value))
    if (name === '' || (await stampFile(file)) === null)
      mistakes.push(`line ${line}: there is no file ${file}`)
    else if (wrong >= 0)
      mistakes.push(
        `line ${line}: ${labels[wrong]} is "${cells[scoreAt[wrong]!]}", expected a score from 0 to 1`,
      )
    else if (odd >= 0)
      mistakes.push(`line ${line}: truth_${labels[odd]} is "${truth[odd]}", expected 0, 1 or empty`)
    else
      cases.push({
        name,
        file_sha256: await sha256File(file),
        read: () => readBytes(file),
        scores,
        truth: Object.fromEntries(
          labels.map((label, l) => [label, truth[l] === '' ? null : truth[l] === '1' ? 1 : 0]),
        ),
        patient_id: patientAt < 0 ? null : cells[patientAt]!,
      })
  }
  if (mistakes.length > 0) {
    const shown = mistakes.slice(0, 10).map((line) => `  ${line}`)
    const more = mistakes.length > shown.length ? `\n  … and ${mistakes.length - shown.length} more` : ''
    throw new UserError(`${path}: ${mistakes.length} rows cannot be used.\n${shown.join('\n')}${more}`)
  }
  if (cases.length === 0)
    throw new UserError(`${path} has no rows.\n  do: give at least one image with its scores.`)
  return cases
}
