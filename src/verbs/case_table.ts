import type { Attributes } from '../schema/case.ts'
import { UserError } from '../schema/errors.ts'
import { count, firstFew } from '../sources/source_data.ts'
import { readTable } from '../sources/table.ts'

/** What a table says of cases besides their images. */
export interface CaseTable {
  hasPatients: boolean
  /** Names of the other columns. */
  attributes: string[]
  of(case_id: string): { patient_id: string; attributes: Attributes }
}

/**
 * Reads patients and attributes of cases from a table with `case_id`, `patient_id` if known, and any other columns.
 *
 * @param caseIds those that must be in it; others are passed over
 * @throws {UserError} naming the cases that are missing, there twice, or without a patient
 */
export async function readCaseTable(path: string, caseIds: readonly string[]): Promise<CaseTable> {
  const { name, columns, rows } = await readTable(path)
  const [idAt, patientAt] = [columns.indexOf('case_id'), columns.indexOf('patient_id')]
  if (idAt < 0)
    throw new UserError(
      `${name} has no column case_id.\n  columns: ${columns.join(', ')}\n  do: name the column of the masks' file names, without .nii.gz, so.`,
    )
  const attributes = columns.filter((column, at) => column !== '' && at !== idAt && at !== patientAt)
  const wanted = new Set(caseIds)
  const found = new Map<string, string[]>()
  const twice: string[] = []
  for (const { cells } of rows) {
    const id = cells[idAt]!
    if (!wanted.has(id)) continue
    if (found.has(id)) twice.push(id)
    found.set(id, cells)
  }
  const missing = caseIds.filter((id) => !found.has(id))
  const noPatient = patientAt < 0 ? [] : [...found].flatMap(([id, cells]) => (cells[patientAt] ? [] : [id]))
  const mistakes = [
    missing.length > 0 && `${count(missing.length, 'mask')} without a row: ${firstFew(missing)}`,
    twice.length > 0 && `${count(twice.length, 'case')} there twice: ${firstFew(twice)}`,
    noPatient.length > 0 && `${count(noPatient.length, 'case')} without patient_id: ${firstFew(noPatient)}`,
  ].filter((line) => line !== false)
  if (mistakes.length > 0)
    throw new UserError(
      `${name} does not fit the masks:\n  ${mistakes.join('\n  ')}\n  do: give it one row a mask, case_id being the file's name without .nii.gz.`,
    )
  return {
    hasPatients: patientAt >= 0,
    attributes,
    of(case_id) {
      const cells = found.get(case_id)!
      return {
        patient_id: patientAt < 0 ? case_id : cells[patientAt]!,
        attributes: Object.fromEntries(
          attributes.map((column) => [column, cells[columns.indexOf(column)] || null]),
        ),
      }
    },
  }
}
