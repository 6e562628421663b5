import type { z } from 'zod'
import type { Labels, LabelValue } from '../schema/case.ts'
import type { LabelColumns } from '../schema/data.ts'
import { UserError } from '../schema/errors.ts'
import { nearest, quoted } from '../schema/parse.ts'
import { count } from './source_data.ts'
import { columnIndex, type Table } from './table.ts'

type Value = z.infer<typeof LabelValue>
type NameColumn = Extract<LabelColumns, { column: string }>
type FlagColumns = Extract<LabelColumns, { columns: Record<string, string> }>

/**
 * Labels of every row, in row order, each with all of `labels`.
 *
 * @throws {UserError} when a column is missing, or a value is neither a label nor declared negative, unknown or
 * mapped; it lists each such value with its count and what to write
 */
export function readLabels(config: LabelColumns, table: Table, labels: readonly string[]): Labels[] {
  return 'columns' in config ? readFlags(config, table, labels) : readNames(config, table, labels)
}

/**
 * One string column: the label's name, or several joined by a separator. A negative value adds no label. Where
 * an unknown value stands, the labels named beside it are present and all others masked.
 */
function readNames(config: NameColumn, table: Table, labels: readonly string[]): Labels[] {
  const index = columnIndex(table, config.column, 'data.source.labels.column')
  for (const [from, to] of Object.entries(config.map ?? {})) {
    if (!labels.includes(to)) {
      const near = nearest(to, labels)
      throw new UserError(
        `data.source.labels.map: "${from}" is mapped to "${to}", which is not in task.labels (${labels.join(', ')})${near ? `; did you mean "${near}"?` : ''}`,
      )
    }
  }
  const unmapped = new Map<string, number>()
  const read = table.rows.map(({ cells }) => {
    const cell = cells[index] ?? ''
    const values = config.separator === undefined ? [cell] : cell.split(config.separator).map((v) => v.trim())
    const present = new Set<string>()
    let isUnknown = config.unknown.includes(cell)
    for (const value of isUnknown ? [] : values) {
      const label = config.map && Object.hasOwn(config.map, value) ? config.map[value]! : value
      if (config.unknown.includes(value)) isUnknown = true
      else if (config.negative.includes(value)) continue
      else if (labels.includes(label)) present.add(label)
      else unmapped.set(value, (unmapped.get(value) ?? 0) + 1)
    }
    return record(labels, (label) => (present.has(label) ? 1 : isUnknown ? null : 0))
  })
  if (unmapped.size > 0) throw unmappedError(config, table, labels, unmapped)
  return read
}

function unmappedError(
  config: NameColumn,
  table: Table,
  labels: readonly string[],
  unmapped: ReadonlyMap<string, number>,
): UserError {
  const ranked = [...unmapped].sort((a, b) => b[1] - a[1])
  const known = [...labels, ...config.negative, ...config.unknown, ...Object.keys(config.map ?? {})]
  const hint = (value: string) => {
    const near = value === '' || value.length > 80 ? undefined : nearest(value, known)
    if (near === undefined) return ''
    if (labels.includes(near))
      return `; if it means "${near}": map: { ${JSON.stringify(value)}: ${JSON.stringify(near)} }`
    return `; did "${near}" mean the same? treat it alike`
  }
  const lines = ranked.slice(0, 20).map(([value, n]) => {
    return `    ${value === '' ? '(empty)' : quoted(value)}  ${count(n, 'row')}${hint(value)}`
  })
  if (ranked.length > 20) lines.push(`    and ${ranked.length - 20} more values`)
  const values = ranked.slice(0, 3).map(([value]) => value)
  const joined = ['|', ';', ',', '/'].find(
    (s) => config.separator === undefined && values.every((v) => v.includes(s)),
  )
  return new UserError(
    `${count(ranked.length, 'value')} of column "${config.column}" in ${table.name} ${ranked.length === 1 ? 'is' : 'are'} not mapped to a label (${labels.join(', ')}):\n${lines.join('\n')}\n` +
      (joined
        ? `  do: if these are several labels in one cell, write data.source.labels.separator: '${joined}'\n`
        : '') +
      '  do: say what each of these values means, for it is not guessed:\n' +
      '      a finding or class to learn: add it to task.labels;\n' +
      '      another word for one: data.source.labels.map;\n' +
      '      certainly none of the labels: data.source.labels.negative, and only then: it is learnt as their absence;\n' +
      '      not known: data.source.labels.unknown, which is masked.',
  )
}

/** Cells that say of themselves that nothing is known; any other may mean anything. */
const NOT_KNOWN = /^(|-\d+(\.0+)?|\?|na|n\/a|nan|null|unknown)$/i

/** One 0/1 column a label. */
function readFlags(config: FlagColumns, table: Table, labels: readonly string[]): Labels[] {
  const named = Object.keys(config.columns)
  const absent = labels.filter((label) => !named.includes(label))
  if (absent.length > 0)
    throw new UserError(
      `data.source.labels.columns names no column for ${absent.map((l) => `"${l}"`).join(', ')}; it names ${named.join(', ')}.\n  do: add the column, or take the label out of task.labels.`,
    )
  const indices = labels.map((label) =>
    columnIndex(table, config.columns[label]!, `data.source.labels.columns.${label}`),
  )
  const found = new Set<string>()
  const unmapped = new Map<string, number>()
  const read = table.rows.map(({ cells }) => {
    const values = indices.map((index, i) => {
      const cell = cells[index] ?? ''
      const value = flag(cell, config.unknown)
      if (value === undefined) {
        const key = `column "${config.columns[labels[i]!]}": ${cell === '' ? '(empty)' : quoted(cell)}`
        unmapped.set(key, (unmapped.get(key) ?? 0) + 1)
        found.add(cell)
      }
      return value ?? null
    })
    return record(labels, (_, i) => values[i]!)
  })
  if (unmapped.size > 0) {
    const lines = [...unmapped]
      .sort((a, b) => b[1] - a[1])
      .map(([key, n]) => `    ${key}  ${count(n, 'row')}`)
    const masked = [...new Set([...config.unknown, ...[...found].filter((cell) => NOT_KNOWN.test(cell))])]
    throw new UserError(
      `${table.name} holds values that are neither 0 nor 1:\n${lines.slice(0, 20).join('\n')}\n` +
        `  do: list those that mean "not known" in data.source.labels.unknown, which masks them${masked.length > 0 ? `: unknown: ${JSON.stringify(masked)}` : ''}; mend the others in the table.`,
    )
  }
  return read
}

/** 1, 0, null for unknown, undefined for anything else. '1.0' equals 1, and '-1.0' an unknown of '-1'. */
function flag(cell: string, unknown: readonly string[]): Value | undefined {
  if (unknown.includes(cell)) return null
  const lower = cell.toLowerCase()
  if (lower === 'true') return 1
  if (lower === 'false') return 0
  const value = cell === '' ? Number.NaN : Number(cell)
  if (Number.isNaN(value)) return undefined
  if (unknown.some((u) => u !== '' && Number(u) === value)) return null
  return value === 0 || value === 1 ? value : undefined
}

function record(labels: readonly string[], value: (label: string, index: number) => Value): Labels {
  return Object.fromEntries(labels.map((label, i) => [label, value(label, i)]))
}
