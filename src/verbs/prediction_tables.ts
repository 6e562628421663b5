import type { Labels } from '../schema/case.ts'
import { UserError } from '../schema/errors.ts'
import { nearest } from '../schema/parse.ts'
import type { Prediction } from '../schema/prediction.ts'
import { count, firstFew } from '../sources/source_data.ts'
import { type Row, readTable, type Table } from '../sources/table.ts'
import { withoutGuard } from '../storage/csv.ts'

export interface PredictionTables {
  predictions: Prediction[]
  /** Labels that have both scores and truth, in the order of the predictions' columns. */
  labels: string[]
  /** Other columns of the labels' table, kept as attributes. */
  attributes: string[]
  hasPatients: boolean
  warnings: string[]
}

const CASE = 'case_id'
const PATIENT = 'patient_id'
/** Columns that "fiducial predict" writes beside the scores. */
const NOT_SCORES = /^(patient_id|file|input_sha256|warnings|decision: .*)$/

/**
 * Others' predictions and their labels, joined by case. The predictions' table has `case_id` and a score column a
 * label, 0..1; the labels' table has `case_id`, `patient_id` if known, a column a label with 1, 0 or an empty cell
 * (unknown), and any attributes.
 *
 * @throws {UserError} listing every kind of mistake at once, each with its count, first cases and what to do: a
 *   missing column, a case twice or in one table only, scores that are no number or outside 0..1, labels that are
 *   neither 0 nor 1
 */
export async function readPredictionTables(
  predictionsPath: string,
  labelsPath: string,
): Promise<PredictionTables> {
  const scores = await readTable(predictionsPath)
  const truth = await readTable(labelsPath)
  const { labels, warnings } = sharedLabels(scores, truth)
  const mistakes: string[] = []
  const foundRows = rowsByCase(scores, mistakes)
  const truthRows = rowsByCase(truth, mistakes)
  const folder = leftOutFolder([...foundRows.keys()], truthRows)
  const scoreRows =
    folder === null ? foundRows : new Map([...foundRows].map(([id, row]) => [folder + id, row]))
  if (folder !== null)
    warnings.push(
      `Case ids of ${scores.name} lack the folder "${folder}" of those in ${truth.name}; they were read with it.`,
    )
  joinMistakes(scores, scoreRows, truth, truthRows, mistakes)
  const hasPatients = truth.columns.includes(PATIENT)
  const attributes = truth.columns.filter(
    (column) => column !== '' && column !== CASE && column !== PATIENT && !labels.includes(column),
  )
  const indexIn = (table: Table) => new Map(labels.map((label) => [label, table.columns.indexOf(label)]))
  const scoreAt = indexIn(scores)
  const truthAt = indexIn(truth)
  const badScores = new Mistakes()
  const badLabels = new Mistakes()
  const noPatient: string[] = []
  const patientAt = truth.columns.indexOf(PATIENT)
  const attributeAt = attributes.map((name) => [name, truth.columns.indexOf(name)] as const)
  const predictions: Prediction[] = []
  for (const [case_id, { cells }] of scoreRows) {
    const row = truthRows.get(case_id)
    if (!row) continue
    const own: Prediction = {
      case_id,
      patient_id: case_id,
      labels: {},
      logits: {},
      scores: {},
      attributes: {},
    }
    for (const label of labels) {
      own.scores[label] = readScore(cells[scoreAt.get(label)!] ?? '', `${case_id} (${label})`, badScores)
      own.labels[label] = readLabel(row.cells[truthAt.get(label)!] ?? '', `${case_id} (${label})`, badLabels)
    }
    if (hasPatients) own.patient_id = row.cells[patientAt] ?? ''
    if (own.patient_id === '') noPatient.push(case_id)
    for (const [name, at] of attributeAt) own.attributes[name] = row.cells[at] || null
    predictions.push(own)
  }
  mistakes.push(...badScores.lines(scores.name), ...badLabels.lines(truth.name))
  if (noPatient.length > 0)
    mistakes.push(
      `${truth.name}: ${count(noPatient.length, 'case')} without ${PATIENT}: ${firstFew(noPatient)}. ` +
        'Fill it in, or remove the column if patients are not known.',
    )
  if (mistakes.length > 0)
    throw new UserError(`${count(mistakes.length, 'mistake')} in the tables:\n  ${mistakes.join('\n  ')}`)
  if (!hasPatients)
    warnings.push(
      `${truth.name} has no ${PATIENT}: every case counts as its own patient. If patients have several cases, ` +
        'the intervals are too narrow.',
    )
  return { predictions, labels, attributes, hasPatients, warnings }
}

/** Columns that both tables have. Those that only one has are an error where names nearly match, else a warning. */
function sharedLabels(scores: Table, truth: Table): { labels: string[]; warnings: string[] } {
  for (const table of [scores, truth]) requireOnce(table, CASE)
  const candidates = scores.columns.filter((name) => name !== '' && name !== CASE && !NOT_SCORES.test(name))
  const labels = candidates.filter((name) => truth.columns.includes(name))
  for (const name of labels) {
    requireOnce(scores, name)
    requireOnce(truth, name)
  }
  const unlabelled = candidates.filter((name) => !labels.includes(name))
  const unscored = truth.columns.filter((name) => !labels.includes(name) && isLabelColumn(truth, name))
  const pairs = unlabelled.flatMap((name) => {
    const near = nearest(name, unscored)
    return near ? [`"${name}" and "${near}"`] : []
  })
  if (labels.length === 0 || pairs.length > 0)
    throw new UserError(
      `The score columns of ${scores.name} and the label columns of ${truth.name} do not have the same names` +
        `${pairs.length > 0 ? `: ${pairs.join(', ')}` : ''}.\n` +
        `  ${scores.name}: ${scores.columns.join(', ')}\n  ${truth.name}: ${truth.columns.join(', ')}\n` +
        '  do: give a finding the same column name in both.',
    )
  const warnings: string[] = []
  if (unlabelled.length > 0)
    warnings.push(
      `${scores.name}: not evaluated, ${truth.name} has no such column: ${unlabelled.join(', ')}.`,
    )
  if (unscored.length > 0)
    warnings.push(`${truth.name}: not evaluated, ${scores.name} has no such column: ${unscored.join(', ')}.`)
  return { labels, warnings }
}

function requireOnce({ name, columns }: Table, wanted: string): void {
  const found = columns.filter((column) => column === wanted).length
  if (found === 1) return
  throw new UserError(
    found > 1
      ? `${name} has ${found} columns named "${wanted}".\n  do: rename or remove all but one.`
      : `${name} has no column "${wanted}".\n  columns found: ${columns.join(', ')}\n  do: name the column of case ids "${wanted}".`,
  )
}

/** Whether a column of the labels' table holds 0 and 1 only, as a label does. */
function isLabelColumn(table: Table, name: string): boolean {
  if (name === '' || name === CASE || name === PATIENT) return false
  const at = table.columns.indexOf(name)
  const values = new Set(table.rows.map(({ cells }) => cells[at] ?? ''))
  values.delete('')
  return values.size > 0 && [...values].every((value) => LABEL_VALUES.has(value))
}

function rowsByCase(table: Table, mistakes: string[]): Map<string, Row> {
  const at = table.columns.indexOf(CASE)
  const rows = new Map<string, Row>()
  const twice: string[] = []
  const empty: string[] = []
  for (const row of table.rows) {
    const id = withoutGuard(row.cells[at] ?? '') // as "fiducial predict" writes an id like =1
    if (id === '') empty.push(String(row.line))
    else if (rows.has(id)) twice.push(`${id} (line ${row.line})`)
    else rows.set(id, row)
  }
  if (table.rows.length === 0) mistakes.push(`${table.name} has a header but no rows.`)
  if (twice.length > 0)
    mistakes.push(
      `${table.name}: ${count(twice.length, 'case')} given twice: ${firstFew(twice)}. Keep one row each.`,
    )
  if (empty.length > 0)
    mistakes.push(`${table.name}: no ${CASE} on ${count(empty.length, 'line')}: ${firstFew(empty)}.`)
  return rows
}

/**
 * The folder that stands before the case ids of the truth and not before those of the scores, as when "fiducial
 * predict" was given a folder below the data's root. Only where it is the same for all, and no other fits.
 */
function leftOutFolder(ids: readonly string[], truth: ReadonlyMap<string, Row>): string | null {
  const [first] = ids
  if (first === undefined || ids.some((id) => truth.has(id))) return null
  const folders = [...truth.keys()].flatMap((id) =>
    id.endsWith(`/${first}`) ? [id.slice(0, -first.length)] : [],
  )
  const fitting = folders.filter((folder) => ids.every((id) => truth.has(folder + id)))
  return fitting.length === 1 ? fitting[0]! : null
}

function joinMistakes(
  scores: Table,
  scoreRows: ReadonlyMap<string, Row>,
  truth: Table,
  truthRows: ReadonlyMap<string, Row>,
  mistakes: string[],
): void {
  if (scoreRows.size === 0 || truthRows.size === 0) return
  const unpredicted = [...truthRows.keys()].filter((id) => !scoreRows.has(id))
  const unknown = [...scoreRows.keys()].filter((id) => !truthRows.has(id))
  if (unpredicted.length === truthRows.size) {
    const [first] = scoreRows.keys()
    mistakes.push(
      `No ${CASE} of ${scores.name} is in ${truth.name}: ${firstFew([first!])} there, ` +
        `${firstFew([unpredicted[0]!])} here. Write case ids the same way in both, with or without extension.`,
    )
    return
  }
  if (unpredicted.length > 0)
    mistakes.push(
      `${scores.name} lacks ${count(unpredicted.length, 'case')} of ${truth.name}: ${firstFew(unpredicted)}. ` +
        'A metric over the rest would flatter: predict them too, or take them out of both tables.',
    )
  if (unknown.length > 0)
    mistakes.push(
      `${truth.name} lacks ${count(unknown.length, 'case')} of ${scores.name}: ${firstFew(unknown)}. ` +
        'Add their labels (an empty cell is "unknown"), or remove the rows.',
    )
}

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i
function readScore(cell: string, where: string, bad: Mistakes): number {
  const value = NUMBER.test(cell) ? Number(cell) : Number.NaN
  if (Number.isNaN(value)) bad.add(scoreMistake(cell), `${where}: ${cell === '' ? '(empty)' : cell}`)
  else if (value < 0 || value > 1)
    bad.add(
      'scores outside 0..1: if these are logits, apply sigmoid (classes that exclude each other: softmax) first',
      `${where}: ${cell}`,
    )
  return value
}

const scoreMistake = (cell: string) =>
  /^\d*,\d+$/.test(cell)
    ? 'scores with a decimal comma: write 0.5, not 0,5'
    : 'scores that are not numbers: every case needs one'

const LABEL_VALUES = new Map<string, Labels[string]>([
  ['1', 1],
  ['0', 0],
  ['1.0', 1],
  ['0.0', 0],
  ['', null],
])
function readLabel(cell: string, where: string, bad: Mistakes): Labels[string] {
  const value = LABEL_VALUES.get(cell)
  if (value === undefined)
    bad.add('labels that are neither 0 nor 1: leave the cell empty where unknown', `${where}: ${cell}`)
  return value ?? null
}

/** The same mistake in many cells, told once. */
class Mistakes {
  readonly #found = new Map<string, string[]>()

  add(what: string, where: string): void {
    const places = this.#found.get(what) ?? []
    places.push(where)
    this.#found.set(what, places)
  }

  lines(table: string): string[] {
    return [...this.#found].map(
      ([what, places]) => `${table}: ${places.length} ${what}. At ${firstFew(places)}.`,
    )
  }
}
