import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isImageName, withoutExtension } from '../imaging/image_names.ts'
import type { Attributes, Case, SplitPart } from '../schema/case.ts'
import { UserError } from '../schema/errors.ts'
import { nearest } from '../schema/parse.ts'
import { explain, readTextIfExists } from '../storage/local.ts'
import { readLabels } from './label_cells.ts'
import { count, firstFew, type SourceData, type SourceOf, type SourceRequest } from './source_data.ts'
import { columnIndex, readTable, type Table } from './table.ts'

/** The findings of ChestX-ray14 as the tables spell them (Wang et al., CVPR 2017, and the 14-label release). */
export const CHESTXRAY14_LABELS = [
  'Atelectasis',
  'Cardiomegaly',
  'Effusion',
  'Infiltration',
  'Mass',
  'Nodule',
  'Pneumonia',
  'Pneumothorax',
  'Consolidation',
  'Edema',
  'Emphysema',
  'Fibrosis',
  'Pleural_Thickening',
  'Hernia',
] as const
const NO_FINDING = 'No Finding'
export const CHESTXRAY14_TABLES = ['Data_Entry_2017_v2020.csv', 'Data_Entry_2017.csv'] as const
const LISTS = { train: 'train_val_list.txt', test: 'test_list.txt' } as const

/**
 * NIH ChestX-ray14 as downloaded: the entry table (either release), images in `images_0NN/images/`, `images_0NN/`
 * or `images/`, and the official lists. `train_val_list.txt` becomes the part `train`: the validation split is
 * taken from it by patient. Labels are the findings that the task names; the others count as absent.
 */
export async function readChestXray14(
  _source: SourceOf<'chestxray14'>,
  { task, root }: SourceRequest,
): Promise<SourceData> {
  const warnings: string[] = []
  assertLabels(task.labels)
  const table = await readTable(join(root, await tableName(root)))
  const others = [...CHESTXRAY14_LABELS, NO_FINDING].filter((name) => !task.labels.includes(name))
  const labels = readLabels(
    { column: 'Finding Labels', separator: '|', negative: others, unknown: [] },
    table,
    task.labels,
  )
  const image = columnIndex(table, 'Image Index', 'the NIH table')
  const patient = columnIndex(table, 'Patient ID', 'the NIH table')
  const attributes = attributeReader(table, warnings)
  const files = await findImages(root, warnings)
  const lists = await readLists(root, warnings)

  const cases: Case[] = []
  const skipped: SourceData['skipped'] = []
  const seen = new Map<string, number>()
  let unlisted = 0
  for (const [i, { line, cells }] of table.rows.entries()) {
    const name = cells[image] ?? ''
    const earlier = seen.get(name)
    if (earlier !== undefined)
      throw new UserError(
        `${table.name} names ${JSON.stringify(name)} on lines ${earlier} and ${line}.\n  do: keep one row an image.`,
      )
    seen.set(name, line)
    const path = files.get(name)
    if (path === undefined) {
      skipped.push({
        file: name || `${table.name}:${line}`,
        reason: 'Not in any images folder. Unpack all image archives, or take the row out of the table.',
      })
      continue
    }
    const part = lists?.get(name)
    if (lists && part === undefined) unlisted++
    cases.push({
      case_id: withoutExtension(name),
      patient_id: cells[patient] || withoutExtension(name),
      images: [path],
      labels: labels[i]!,
      attributes: attributes(cells),
      ...(part ? { split: part } : {}),
    })
  }
  if (unlisted > 0)
    warnings.push(
      `${count(unlisted, 'image')} ${unlisted === 1 ? 'is' : 'are'} in neither ${LISTS.train} nor ${LISTS.test}.`,
    )
  const { size } = seen
  if (skipped.length > 0 && skipped.length === size)
    throw new UserError(
      `None of the ${size} images that ${table.name} names is in ${root}.\n  looked in: images/, images_0NN/ and images_0NN/images/\n  do: unpack the image archives there.`,
    )
  return {
    cases,
    labels: [...task.labels],
    warnings,
    has_given_split: lists !== null,
    synthetic: (await readTextIfExists(join(root, 'phantom.json'))) !== null,
    skipped,
  }
}

function assertLabels(labels: readonly string[]): void {
  const known = [...CHESTXRAY14_LABELS, NO_FINDING]
  for (const label of labels) {
    if (known.includes(label)) continue
    const near = nearest(label.replaceAll(' ', '_'), known)
    throw new UserError(
      `task.labels: "${label}" is not a ChestX-ray14 finding${near ? `; did you mean "${near}"?` : ''}\n  findings: ${known.join(', ')}`,
    )
  }
}

async function tableName(root: string): Promise<string> {
  const names = await readdir(root).catch((cause) => Promise.reject(explain(cause, root)))
  const found = CHESTXRAY14_TABLES.find((name) => names.includes(name))
  if (found) return found
  throw new UserError(
    `${root} is not a ChestX-ray14 folder: it holds neither ${CHESTXRAY14_TABLES.join(' nor ')}.\n  do: set data.root to the folder that holds the table, or use data.source.kind: csv.`,
  )
}

/**
 * The 2017 table writes ages as 058Y, 011M or 003D and has some beyond any lifetime; the 2020 one writes years.
 * Ages are years; an age above 120 is kept as unknown.
 */
function attributeReader(table: Table, warnings: string[]): (cells: readonly string[]) => Attributes {
  const at = (...names: string[]) =>
    names.map((name) => table.columns.indexOf(name)).find((i) => i >= 0) ?? -1
  const age = at('Patient Age')
  const sex = at('Patient Sex', 'Patient Gender')
  const view = at('View Position')
  const followUp = at('Follow-up #')
  const odd = table.rows.filter(({ cells }) => (years(cells[age] ?? '') ?? 0) > 120).length
  if (odd > 0)
    warnings.push(
      `${count(odd, 'row')} of ${table.name} ${odd === 1 ? 'gives an age' : 'give ages'} above 120 years, kept as unknown.`,
    )
  return (cells) => {
    const value = years(cells[age] ?? '')
    return {
      age: value !== null && value <= 120 ? value : null,
      sex: cells[sex] || null,
      view: cells[view] || null,
      ...(followUp >= 0 ? { follow_up: Number(cells[followUp]) || 0 } : {}),
    }
  }
}

function years(cell: string): number | null {
  const match = /^(\d+)\s*([YMWD]?)$/i.exec(cell)
  if (!match) return null
  const unit = { Y: 1, M: 1 / 12, W: 7 / 365.25, D: 1 / 365.25 }[(match[2] || 'Y').toUpperCase()]!
  return Math.floor(Number(match[1]) * unit)
}

/** File name to root-relative path over the image folders. */
async function findImages(root: string, warnings: string[]): Promise<Map<string, string>> {
  const files = new Map<string, string>()
  const twice: string[] = []
  const top = (await readdir(root)).filter((name) => /^images(_\d+)?$/i.test(name)).sort()
  for (const folder of top.flatMap((name) => [`${name}/images`, name])) {
    const names = await readdir(join(root, folder)).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') return []
      throw explain(cause, join(root, folder))
    })
    for (const name of names.filter(isImageName).sort()) {
      if (files.has(name)) twice.push(`${folder}/${name}`)
      else files.set(name, `${folder}/${name}`)
    }
  }
  if (twice.length > 0)
    warnings.push(`${twice.length} images lie in two folders; the first is used, not ${firstFew(twice, 3)}.`)
  return files
}

async function readLists(root: string, warnings: string[]): Promise<Map<string, SplitPart> | null> {
  const [train, test] = await Promise.all([
    readTextIfExists(join(root, LISTS.train)),
    readTextIfExists(join(root, LISTS.test)),
  ])
  if (train === null || test === null) {
    const [absent, there] = train === null ? [LISTS.train, LISTS.test] : [LISTS.test, LISTS.train]
    if (train !== null || test !== null)
      warnings.push(`${absent} is missing: the official split needs it, and ${there} alone is not used.`)
    return null
  }
  const names = (text: string) => text.split(/\s+/).filter((name) => name !== '')
  const parts = new Map<string, SplitPart>(names(train).map((name) => [name, 'train']))
  const both = names(test).filter((name) => parts.has(name))
  if (both.length > 0)
    throw new UserError(
      `${LISTS.train} and ${LISTS.test} both name ${firstFew(both)}.\n  do: download the lists again.`,
    )
  for (const name of names(test)) parts.set(name, 'test')
  return parts
}
