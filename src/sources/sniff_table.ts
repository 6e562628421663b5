import { type ImageFinder, pathBelowRoot } from './image_files.ts'
import { partNamed } from './part_names.ts'
import { evenly } from './sniff_images.ts'
import { ATTRIBUTE, type Column, guessLabels, type LabelGuess, plain } from './sniff_label_columns.ts'
import { describePatients, guessPatientPattern } from './sniff_patients.ts'
import { firstFew } from './source_data.ts'
import type { Table } from './table.ts'

export interface TableGuess {
  patient: string | { column: string; pattern: string } | null
  part: string | null
  attributes: string[]
  labels: LabelGuess
  found: string[]
  unsure: string[]
}

export const PATIENT =
  /^(patient|subject|participant|person|donor)(s?(id|no|nr|number|num|code|key|name|index))?$|^(pid|mrn|ptid|subjid|empianon)$/
const STUDY = /^study(id|instanceuid|uid|no|number)?$/
export const PART = /^(sourcesplit|split|partition|subset|part|set|fold|phase|usage)$/

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
      `no column names the patient; ${describePatients(pattern, paths.length)}, guessed from ${pattern.why}, in column "${imageColumn}"; check data.source.patient`,
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
    part: part?.name ?? null,
    attributes: attributes.map(({ name }) => name),
    labels,
    found,
    unsure,
  }
}

function countValues(table: Table, index: number): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { cells } of table.rows)
    counts.set(cells[index] ?? '', (counts.get(cells[index] ?? '') ?? 0) + 1)
  return counts
}
