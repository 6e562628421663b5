import { basename, dirname, join, resolve } from 'node:path'
import { readMask } from '../imaging/read_mask.ts'
import { DataConfig, type Split } from '../schema/data.ts'
import { UserError } from '../schema/errors.ts'
import { type SegmentTask, structuresOf, Task } from '../schema/task.ts'
import { readBytes } from '../storage/local.ts'
import { isRasterOrVolume } from './csv.ts'
import { walkFolder } from './folder_walk.ts'
import { imageFinder } from './image_files.ts'
import { readSource } from './read.ts'
import type { SourceDraft } from './sniff_draft.ts'
import { evenly } from './sniff_images.ts'
import { ATTRIBUTE, plain } from './sniff_label_columns.ts'
import { volumeColumns } from './sniff_labelled_volumes.ts'
import { guessPatientPattern } from './sniff_patients.ts'
import { guessImageColumn, PART, PATIENT } from './sniff_table.ts'
import { foldersOf } from './sniff_tables.ts'
import type { SniffedVolumes } from './sniff_volumes.ts'
import { count, firstFew } from './source_data.ts'
import { readTable, type Table } from './table.ts'
import { lookAtVolumes } from './volumes_look.ts'

const MASK =
  /^(mask|segmentation|seg|label|labelmap|annotation|groundtruth|gt)s?(file|filename|path|name|image|img|png)?$/
/** Masks read to learn which values occur. */
const MASKS_READ = 64
/** With more values than this, a picture or volume is no mask. */
const MOST_VALUES = 32

/**
 * A table with a column of images and one of masks, or of volumes and theirs; or a folder that holds such a table.
 *
 * @returns null where there is none, or its masks cannot be read as masks
 */
export async function sniffMaskTable(path: string, signal?: AbortSignal): Promise<SniffedVolumes | null> {
  for (const { root, file } of await tablesAt(path)) {
    const table = await readTable(join(root, file)).catch(onlyUserErrors)
    const found = table === null ? null : await sniffOne(root, file, table, signal)
    if (found !== null) return found
  }
  return null
}

export const isTableName = (path: string): boolean => /\.(csv|tsv)$/i.test(path)

async function tablesAt(path: string): Promise<{ root: string; file: string }[]> {
  const absolute = resolve(path)
  if (isTableName(absolute)) return [{ root: dirname(absolute), file: basename(absolute) }]
  const { others } = await walkFolder(absolute, isRasterOrVolume)
  return others
    .filter((file) => isTableName(file) && file.split('/').length <= 2)
    .slice(0, 20)
    .map((file) => ({ root: absolute, file }))
}

async function sniffOne(
  root: string,
  file: string,
  table: Table,
  signal: AbortSignal | undefined,
): Promise<SniffedVolumes | null> {
  const named = table.columns.filter((name) => MASK.test(plain(name)))
  if (named.length === 0 || table.rows.length === 0) return null
  const folders = foldersOf(await walkFolder(root, isRasterOrVolume))
  const find = imageFinder(root, isRasterOrVolume)
  const others = table.columns.filter((name) => !named.includes(name))
  const mask = await guessImageColumn(withColumns(table, named), root, folders, find)
  const image = await guessImageColumn(withColumns(table, others), root, folders, find)
  if (mask === null || image === null) return null
  const columns = await volumeColumns(withColumns(table, others), root, image.images_dir)
  const images = columns.length > 1 ? columns : [image.image]

  const cellsOf = (name: string) => table.rows.map(({ cells }) => cells[table.columns.indexOf(name)] ?? '')
  const patientColumn = others.find((name) => PATIENT.test(plain(name)))
  const guess = patientColumn === undefined ? guessPatientPattern(cellsOf(image.image), null) : null
  const patient = patientColumn ?? (guess === null ? null : { column: image.image, pattern: guess.pattern })
  const attributes = others.filter((name) => ATTRIBUTE.test(plain(name)) && new Set(cellsOf(name)).size > 1)
  const source: SourceDraft = {
    kind: 'csv',
    file,
    image: images.length > 1 ? images : image.image,
    mask: mask.image,
    ...(image.images_dir ? { images_dir: image.images_dir } : {}),
    ...(mask.images_dir === image.images_dir ? {} : { masks_dir: mask.images_dir }),
    ...(patient === null ? {} : { patient }),
    ...(attributes.length > 0 ? { attributes } : {}),
  }
  const values = await maskValues(root, source)
  if (values === null) return null
  const task = taskOf(values)
  const part = others.find((name) => PART.test(plain(name)))
  const read = (split: Split) => readSource(DataConfig.parse({ root, source, split }), task, root, signal)
  const given =
    part === undefined ? null : await read({ column: part, val: 0, seed: 0 }).catch(onlyUserErrors)
  const first = given ?? (await read({ val: 0.15, test: 0.2, seed: 0 }))
  const patients = new Set(first.cases.map((one) => one.patient_id)).size
  const split: Split =
    given !== null
      ? { column: part!, val: given.cases.some((one) => one.split === 'val') ? 0 : 0.15, seed: 0 }
      : patients < 5
        ? { val: 0.5, test: 0, seed: 0 }
        : { folds: 5, fold: 0, seed: 0 }
  const data = given ?? (await read(split))
  const { look, cases, warnings } = await lookAtVolumes(
    root,
    data.cases,
    structuresOf(task),
    data.volumes!,
    signal,
  )
  const noun = look?.distance_unit === 'px' ? 'image' : 'volume'
  if (look === null) throw new UserError(`None of the images can be read.\n  ${warnings.join('\n  ')}`)
  return {
    root,
    source,
    split,
    task,
    data: { ...data, cases, warnings: [...data.warnings, ...warnings] },
    look,
    found: [
      `a table, ${file}, with ${count(table.rows.length, 'row')}; ${images.length > 1 ? `columns ${firstFew(images)} name the channels` : `column "${image.image}" names the ${noun}s`} and "${mask.image}" their masks`,
      `masks hold ${[0, ...values].join(', ')}`,
      ...(patientColumn === undefined
        ? []
        : [`column "${patientColumn}" names the patient: ${patients} of them`]),
      ...(given === null ? [] : [`it comes with a split, in column "${part}", which is kept`]),
    ],
    unsure: [
      `nothing says what the values of masks mean: ${Object.entries(task.labels!)
        .map(([name, value]) => `${value} is called ${name}`)
        .join(', ')}; write the structures' names in task.labels`,
      ...(images.length > 1
        ? ['several columns name volumes and became channels; leave out those that are none']
        : []),
      ...(guess === null
        ? []
        : [`no column names the patient; guessed from ${guess.why}; check data.source.patient`]),
      ...(patient === null
        ? [
            `no column names the patient, so every ${noun} counts as its own; if there is one, put it in data.source.patient`,
          ]
        : []),
      ...(patients < 20
        ? [
            `${count(patients, 'patient')} ${patients === 1 ? 'is' : 'are'} few; whatever is measured will be very uncertain`,
          ]
        : []),
    ],
  }
}

/** The table with some of its columns. */
function withColumns(table: Table, names: readonly string[]): Table {
  const kept = names.map((name) => table.columns.indexOf(name))
  return {
    ...table,
    columns: [...names],
    rows: table.rows.map((row) => ({ ...row, cells: kept.map((i) => row.cells[i] ?? '') })),
  }
}

/** Values above 0 in a sample of the masks; null where they are no masks. */
async function maskValues(root: string, source: SourceDraft): Promise<number[] | null> {
  const any = Task.parse({ kind: 'segment', labels: { any: 1 } })
  const data = await readSource(
    DataConfig.parse({ root, source, split: { val: 0.15, test: 0.2, seed: 0 } }),
    any,
    root,
  ).catch(onlyUserErrors)
  if (data === null) return null
  const found = new Set<number>()
  for (const one of evenly(data.cases, MASKS_READ)) {
    const mask = await readBytes(join(root, one.mask!))
      .then((bytes) => readMask(bytes, null))
      .catch(onlyUserErrors)
    let last = 0
    for (const value of mask?.volume.data ?? []) {
      if (value === last) continue
      last = value
      if (value !== 0) found.add(value)
    }
    if (found.size > MOST_VALUES) return null
  }
  const values = [...found].sort((a, b) => a - b)
  const isOfLabels = values.every((value) => Number.isInteger(value) && value > 0 && value < 256)
  return values.length > 0 && isOfLabels ? values : null
}

function taskOf(values: readonly number[]): SegmentTask {
  const name = (value: number) => (values.length === 1 ? 'foreground' : `label_${value}`)
  const labels = Object.fromEntries(values.map((value) => [name(value), value]))
  return Task.parse({ kind: 'segment', labels }) as SegmentTask
}

function onlyUserErrors(error: unknown): null {
  if (error instanceof UserError) return null
  throw error
}
