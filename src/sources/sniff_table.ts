import { UserError } from '../schema/errors.ts'
import { type ImageFinder, pathBelowRoot } from './image_files.ts'
import { partNamed } from './part_names.ts'
import { evenly } from './sniff_images.ts'
import { type ClassGuess, guessClasses, guessFindings, isUnknownWord } from './sniff_labels.ts'
import { guessPatientPattern } from './sniff_patients.ts'
import { firstFew } from './source_data.ts'
import type { Table } from './table.ts'

/** A column of a table with its distinct values, most frequent first. */
interface Column {
  name: string
  values: Map<string, number>
}

export interface TableGuess {
  patient: string | { column: string; pattern: string } | null
  part: string | null
  study: string | null
  attributes: string[]
  labels: LabelGuess
  found: string[]
  unsure: string[]
}

export type LabelGuess = ClassGuess & {
  config:
    | { column: string; separator?: string; negative?: string[]; unknown?: string[] }
    | { columns: Record<string, string>; unknown?: string[] }
}

const LABEL_NAMES = [
  'label',
  'labels',
  'class',
  'classname',
  'diagnosis',
  'dx',
  'findinglabels',
  'findings',
  'finding',
  'target',
  'category',
  'outcome',
  'pathology',
  'disease',
  'condition',
  'groundtruth',
  'gt',
  'y',
]
const PATIENT =
  /^(patient|subject|participant|person|donor)(s?(id|no|nr|number|num|code|key|name|index))?$|^(pid|mrn|ptid|subjid|empianon)$/
const STUDY = /^study(id|instanceuid|uid|no|number)?$/
const PART = /^(sourcesplit|split|partition|subset|part|set|fold|phase|usage)$/
const ATTRIBUTE =
  /^(patient)?(sex|gender|age|agegroup|race|ethnicity|view|viewposition|projection|laterality|side|site|hospital|centre|center|institution|scanner|manufacturer|vendor|machine|device|camera|magnification|subtype|dxtype|localization|bodypart)$/
const NOT_A_LABEL =
  /^(male|female|smoker|smoking|frontal|train|test|valid|followup|index|id|.*id|unnamed.*|)$/

/**
 * The column that names images, and the folder that its paths start from; with * where they are spread over
 * several folders of like names.
 *
 * @param folders root-relative folders that may hold images, '' for the root itself
 * @returns null when no column's cells are found as files in at least half of a sample of rows
 */
export async function guessImageColumn(
  table: Table,
  root: string,
  folders: readonly string[],
  find: ImageFinder,
): Promise<{ image: string; images_dir: string } | null> {
  let best: { image: string; images_dir: string; hits: number } | null = null
  const rows = evenly(table.rows, 100)
  for (const [index, image] of table.columns.entries()) {
    const hits = new Map<string, number>()
    for (const folder of folders) {
      let found = 0
      for (const row of rows) {
        const path = row.cells[index] ? pathBelowRoot(root, folder, row.cells[index]) : null
        if (path && 'path' in (await find(path))) found++
      }
      if (found > 0) hits.set(folder, found)
    }
    const single = [...hits].sort((a, b) => b[1] - a[1])[0]
    if (!single) continue
    const pattern = single[1] < rows.length && hits.size > 1 ? commonPattern([...hits.keys()]) : null
    const together = Math.min(
      rows.length,
      [...hits.values()].reduce((a, b) => a + b, 0),
    )
    const candidate =
      pattern && together > single[1]
        ? { image, images_dir: pattern, hits: together }
        : { image, images_dir: single[0], hits: single[1] }
    if (candidate.hits > (best?.hits ?? 0)) best = candidate
  }
  return best && best.hits >= 0.5 * rows.length ? best : null
}

/** 'part_1' and 'part_2' → 'part_*'; null for folders of unlike names. */
function commonPattern(folders: readonly string[]): string | null {
  const split = folders.map((folder) => folder.split('/'))
  const depth = split[0]!.length
  if (split.some((parts) => parts.length !== depth || parts[0] === '')) return null
  const segments = Array.from({ length: depth }, (_, i) => {
    const names = [...new Set(split.map((parts) => parts[i]!))]
    if (names.length === 1) return names[0]!
    const prefix = names.reduce((a, b) => a.slice(0, sharedLength(a, b)))
    return prefix.length >= 3 ? `${prefix}*` : null
  })
  return segments.includes(null) ? null : segments.join('/')
}

function sharedLength(a: string, b: string): number {
  let i = 0
  while (i < a.length && a[i] === b[i]) i++
  return i
}

/** What the other columns hold, judged by their names and values. */
export function guessColumns(table: Table, imageColumn: string): TableGuess {
  const columns = table.columns
    .map((name, index): Column => ({ name, values: countValues(table, index) }))
    .filter(
      ({ name }) => name !== imageColumn && table.columns.indexOf(name) === table.columns.lastIndexOf(name),
    )
  const found: string[] = []
  const unsure: string[] = []
  const named = (pattern: RegExp) => columns.find(({ name }) => pattern.test(plain(name)))

  const patient = named(PATIENT)
  const paths = table.rows.map(({ cells }) => cells[table.columns.indexOf(imageColumn)] ?? '')
  const pattern = patient ? null : guessPatientPattern(paths, null)
  if (patient) found.push(`column "${patient.name}" names the patient: ${patient.values.size} of them`)
  else if (pattern)
    unsure.push(
      `no column names the patient; ${pattern.patients} were guessed from ${pattern.why}, in column "${imageColumn}"; check data.source.patient`,
    )
  else
    unsure.push(
      `no column names the patient, so every image counts as its own patient; if there is one, put it in data.source.patient (columns: ${firstFew(table.columns, 15)})`,
    )
  const study = columns.find((column) => column !== patient && STUDY.test(plain(column.name)))
  const part = columns.find(
    ({ name, values }) => PART.test(plain(name)) && values.size >= 2 && [...values.keys()].every(partNamed),
  )
  const rest = columns.filter((column) => column !== patient && column !== study && column !== part)
  const labels = guessLabels(table, rest, found, unsure)
  const used = 'column' in labels.config ? [labels.config.column] : Object.values(labels.config.columns)
  const attributes = rest.filter(
    ({ name, values }) => !used.includes(name) && ATTRIBUTE.test(plain(name)) && values.size > 1,
  )
  if (attributes.length > 0)
    found.push(`kept as attributes for subgroups: ${firstFew(attributes.map((c) => c.name))}`)
  return {
    patient: patient?.name ?? (pattern ? { column: imageColumn, pattern: pattern.pattern } : null),
    study: study?.name ?? null,
    part: part?.name ?? null,
    attributes: attributes.map(({ name }) => name),
    labels,
    found,
    unsure,
  }
}

function guessLabels(
  table: Table,
  columns: readonly Column[],
  found: string[],
  unsure: string[],
): LabelGuess {
  const usable = columns.filter(({ values }) => values.size > 1)
  const byName = usable
    .filter(({ name }) => LABEL_NAMES.includes(plain(name)))
    .sort((a, b) => LABEL_NAMES.indexOf(plain(a.name)) - LABEL_NAMES.indexOf(plain(b.name)))
  const flags = usable.filter(
    ({ name, values }) => isFlag(values) && !NOT_A_LABEL.test(plain(name)) && !ATTRIBUTE.test(plain(name)),
  )
  const candidates = [
    ...byName.map((column) =>
      isFlag(column.values) ? fromFlags(table, [column]) : fromNames(table, column),
    ),
    ...(flags.length > 0 && byName.length === 0 ? [fromFlags(table, flags)] : []),
  ].filter((guess) => guess !== null)
  if (candidates.length === 0) {
    const guess = usable
      .filter(
        ({ name, values }) =>
          values.size <= 10 && !ATTRIBUTE.test(plain(name)) && !NOT_A_LABEL.test(plain(name)),
      )
      .map((column) => fromNames(table, column))
      .find((g) => g !== null)
    if (!guess) throw noLabels(table)
    candidates.push(guess)
    unsure.push(`no column is named like a label; ${describe(guess)} was taken for its few values`)
  }
  const [chosen, ...others] = candidates as [LabelGuess, ...LabelGuess[]]
  found.push(`labels in ${describe(chosen)}: ${chosen.why}`)
  if (chosen.unknown.length > 0)
    unsure.push(
      `cells that hold ${chosen.unknown.map((value) => value || '(nothing)').join(' or ')} count as unknown: masked in loss and metrics`,
    )
  if (others.length > 0) unsure.push(`labels might instead be in ${others.map(describe).join(' or ')}`)
  if (byName.length > 0 && flags.some((flag) => !byName.includes(flag)))
    unsure.push(
      `0/1 columns not used as labels: ${firstFew(flags.filter((f) => !byName.includes(f)).map((f) => f.name))}`,
    )
  return chosen
}

function noLabels(table: Table): UserError {
  return new UserError(
    `No column of ${table.name} looks like a label.\n  columns found: ${table.columns.map((c) => JSON.stringify(c)).join(', ')}\n` +
      '  do: add a column named "label" with a class name a row, or a 0/1 column a finding; then run this again.',
  )
}

function describe({ config }: LabelGuess): string {
  if ('column' in config)
    return `column "${config.column}"${config.separator ? ` (several a cell, separated by '${config.separator}')` : ''}`
  const columns = Object.values(config.columns)
  return columns.length === 1 ? `0/1 column "${columns[0]}"` : `0/1 columns ${firstFew(columns, 15)}`
}

/** A string column as one label a row or several, or null when it has too many values to be labels. */
function fromNames(table: Table, { name, values }: Column): LabelGuess | null {
  const separator = ['|', ';', ','].find((s) => {
    const joined = [...values].filter(([value]) => value.includes(s)).reduce((sum, [, n]) => sum + n, 0)
    return joined >= 0.01 * table.rows.length && joined > 0
  })
  const tokens = new Map<string, number>()
  for (const [value, n] of values)
    for (const token of separator ? value.split(separator).map((t) => t.trim()) : [value])
      tokens.set(token, (tokens.get(token) ?? 0) + n)
  if (tokens.size > 40 || tokens.size > Math.max(2, table.rows.length / 3)) return null
  const guess = separator ? guessFindings(tokens) : guessClasses([...tokens.keys()])
  if (guess.labels.length === 0) return null
  const config = {
    column: name,
    ...(separator ? { separator } : {}),
    ...(guess.negative.length > 0 ? { negative: guess.negative } : {}),
    ...(guess.unknown.length > 0 ? { unknown: guess.unknown } : {}),
  }
  return { ...guess, config }
}

/** 0/1 columns: independent findings, or one-hot classes when every row has exactly one. */
function fromFlags(table: Table, columns: readonly Column[]): LabelGuess {
  const unknown = [...new Set(columns.flatMap(({ values }) => [...values.keys()].filter(isUnknownWord)))]
  const indices = columns.map(({ name }) => table.columns.indexOf(name))
  const isOneHot =
    columns.length > 1 &&
    unknown.length === 0 &&
    table.rows.every(({ cells }) => indices.filter((i) => isOne(cells[i] ?? '')).length === 1)
  const labelOf = (name: string) => (LABEL_NAMES.includes(plain(name)) ? 'positive' : name)
  const labels = columns.map(({ name }) => labelOf(name))
  return {
    labels,
    negative: [],
    unknown,
    exclusive: isOneHot,
    why: isOneHot
      ? `${labels.length} classes, exactly one a row`
      : labels.length === 1
        ? `one binary label, "${labels[0]}"`
        : `${labels.length} independent findings`,
    config: {
      columns: Object.fromEntries(columns.map(({ name }) => [labelOf(name), name])),
      ...(unknown.length > 0 ? { unknown } : {}),
    },
  }
}

function isOne(value: string): boolean {
  return value.toLowerCase() === 'true' || (value !== '' && Number(value) === 1)
}

/** Both 0 and 1 occur, and nothing else but what means unknown. */
function isFlag(values: ReadonlyMap<string, number>): boolean {
  const known = [...values.keys()].filter((value) => !isUnknownWord(value))
  const isZero = (value: string) => value.toLowerCase() === 'false' || (value !== '' && Number(value) === 0)
  return (
    known.length >= 2 && known.every((v) => isOne(v) || isZero(v)) && known.some(isOne) && known.some(isZero)
  )
}

function countValues(table: Table, index: number): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { cells } of table.rows)
    counts.set(cells[index] ?? '', (counts.get(cells[index] ?? '') ?? 0) + 1)
  return counts
}

/** 'Patient ID' and 'patient_id' alike. */
function plain(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '')
}
