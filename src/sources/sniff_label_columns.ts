import { UserError } from '../schema/errors.ts'
import { type ClassGuess, guessClasses, guessFindings, isUnknownWord } from './sniff_labels.ts'
import { firstFew } from './source_data.ts'
import type { Table } from './table.ts'

/** A column of a table with its distinct values and how often each occurs. */
export interface Column {
  name: string
  values: Map<string, number>
}

export type LabelGuess = ClassGuess & {
  config:
    | { column: string; separator?: string; negative?: string[]; unknown?: string[] }
    | { columns: Record<string, string>; unknown?: string[] }
}

/**
 * Labels from the columns that may hold them: by the column's name first, else 0/1 columns, else few values.
 *
 * @throws {UserError} naming the columns when none can be labels
 */
export function guessLabels(
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

/** 'Patient ID' and 'patient_id' alike. */
export function plain(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '')
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
/** Columns that describe the patient or the picture. */
export const ATTRIBUTE =
  /^(patient)?(sex|gender|age|agegroup|race|ethnicity|view|viewposition|projection|laterality|side|site|hospital|centre|center|institution|scanner|manufacturer|vendor|machine|device|camera|magnification|subtype|dxtype|localization|bodypart)$/
const NOT_A_LABEL =
  /^(male|female|smoker|smoking|frontal|train|test|valid|followup|index|id|.*id|unnamed.*|)$/
