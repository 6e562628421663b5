import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join, posix, resolve } from 'node:path'
import { DataConfig, type Source, type Split } from '../schema/data.ts'
import { UserError } from '../schema/errors.ts'
import { Task } from '../schema/task.ts'
import { explain } from '../storage/local.ts'
import { CHESTXRAY14_LABELS, CHESTXRAY14_TABLES } from './chestxray14.ts'
import { isSplitInFolders, noImages } from './folder.ts'
import { type FolderContents, walkFolder } from './folder_walk.ts'
import { imageFinder, isImageName, unreadFormat } from './image_files.ts'
import { partNamed } from './part_names.ts'
import { readManifest } from './phantom_write.ts'
import { readSource, type SourceData } from './read.ts'
import { type ImagesLook, lookAtImages } from './sniff_images.ts'
import { type ClassGuess, guessClasses } from './sniff_labels.ts'
import { guessPatientPattern } from './sniff_patients.ts'
import { guessColumns, guessImageColumn } from './sniff_table.ts'
import { count, firstFew } from './source_data.ts'
import { readTable, type Table } from './table.ts'

/** What a folder or table was taken for: enough to write a recipe, with what it rests on. */
export interface Sniffed {
  /** Absolute data root. */
  root: string
  source: SourceDraft
  split: SplitDraft
  labels: string[]
  exclusive: boolean
  look: ImagesLook
  /** Read by the source's own reader with this draft. */
  data: SourceData
  /** Plain statements of what was recognised, and of what only its owner can know. */
  found: string[]
  unsure: string[]
}

/** As it stands in a recipe, defaults left out. */
export type SourceDraft = { kind: Source['kind'] } & Record<string, unknown>
export type SplitDraft = Partial<Record<'val' | 'test' | 'seed', number>> & {
  column?: string
  official?: true
}

const RANDOM_SPLIT: SplitDraft = { val: 0.15, test: 0.2, seed: 0 }

/**
 * Looks at a folder of images or a table and says what data set it is: layout, labels, patients, split, pixels.
 * The draft is read once by its reader, so that a recipe made from it runs as it is.
 *
 * @throws {UserError} when nothing says what the images show, with what to do
 */
export async function sniff(path: string): Promise<Sniffed> {
  const absolute = resolve(path)
  const stats = await stat(absolute).catch((cause) => Promise.reject(explain(cause, path)))
  const draft = stats.isDirectory() ? await sniffFolder(absolute) : await sniffFile(absolute)
  const data = await readDraft(draft)
  const images = data.cases.map((c) => c.images[0]!)
  const look = await lookAtImages(draft.root, images)
  if (look === null && images.some(unreadFormat)) throw new UserError(noImages(draft.root, images))
  if (look === null)
    throw new UserError(
      `None of the images could be read, e.g. ${firstFew(images, 3)}.\n  in: ${draft.root}\n  do: open one in a viewer; it must be PNG, JPEG, TIFF or WebP.`,
    )
  const patients = new Set(data.cases.map((c) => c.patient_id)).size
  if (patients < 20)
    draft.unsure.push(
      `${count(patients, 'patient')} ${patients === 1 ? 'is' : 'are'} few to split in three; whatever is measured will be very uncertain`,
    )
  return { ...draft, look, data }
}

type Draft = Omit<Sniffed, 'look' | 'data'>

/** Reads by the draft; a given split that shares patients between its parts is replaced by one by patient. */
async function readDraft(draft: Draft): Promise<SourceData> {
  const read = () =>
    readSource(
      DataConfig.parse({ root: draft.root, source: draft.source, split: draft.split as Split }),
      Task.parse({ kind: 'classify', labels: draft.labels, exclusive: draft.exclusive }),
      draft.root,
    )
  const data = await read()
  if (!('column' in draft.split || 'official' in draft.split)) return data
  const shared = sharedPatients(data)
  if (shared.length === 0) {
    if (!('val' in draft.split) && !data.cases.some((c) => c.split === 'val')) draft.split.val = 0.15
    const parts = (['train', 'val', 'test'] as const).map(
      (p) => `${p} ${data.cases.filter((c) => c.split === p).length}`,
    )
    draft.found.push(`it comes with a split, which is kept: ${parts.join(', ')}`)
    return data
  }
  draft.unsure.push(
    `it comes with a split that puts ${count(shared.length, 'patient')} in more than one part (${firstFew(shared, 3)}); training on that is refused, so the recipe draws a split by patient instead`,
  )
  draft.split = RANDOM_SPLIT
  return read()
}

function sharedPatients({ cases }: SourceData): string[] {
  const parts = new Map<string, string>()
  const shared = new Set<string>()
  for (const { patient_id, split } of cases) {
    if (!split) continue
    const earlier = parts.get(patient_id)
    if (earlier && earlier !== split) shared.add(patient_id)
    parts.set(patient_id, split)
  }
  return [...shared]
}

async function sniffFile(path: string): Promise<Draft> {
  if (isImageName(path))
    throw new UserError(
      `${path} is a single image.\n  do: name the folder it lies in, or a table that describes it.`,
    )
  if (!/\.(csv|tsv|tab|txt)$/i.test(path))
    throw new UserError(`${path} is neither a folder nor a .csv or .tsv table.\n  do: name one of these.`)
  const name = basename(path)
  const root = dirname(path)
  if ((CHESTXRAY14_TABLES as readonly string[]).includes(name)) return sniffChestXray14(root)
  const table = await readTable(path)
  if (isMhist(table)) return sniffMhist(root)
  const draft =
    (await sniffTable(table, name, root, foldersOf(await walkFolder(root)))) ??
    (await sniffFromParent(table, name, root))
  if (draft) return draft
  throw new UserError(
    `No column of ${name} names images that are there.\n  columns found: ${table.columns.map((c) => JSON.stringify(c)).join(', ')}\n  looked below: ${dirname(root)}\n` +
      '  do: put the table beside the images, with a column of their paths relative to it.',
  )
}

async function sniffFolder(folder: string): Promise<Draft> {
  const names = (await readdir(folder)).filter((name) => !name.startsWith('.') && name !== '__MACOSX')
  if (names.some((name) => (CHESTXRAY14_TABLES as readonly string[]).includes(name)))
    return sniffChestXray14(folder)
  if (names.includes('annotations.csv') && isMhist(await readTable(join(folder, 'annotations.csv'))))
    return sniffMhist(folder)
  const contents = await walkFolder(folder)
  const { draft, failure } = await sniffTables(folder, contents)
  if (draft) return draft
  try {
    if (contents.images.length === 0) throw new UserError(noImages(folder, contents.others))
    const classes = await sniffClassFolders(folder, contents)
    if (failure) classes.unsure.push(`a table was passed over: ${failure.message.split('\n')[0]}`)
    return classes
  } catch (cause) {
    // Without class folders it is the table that must be mended.
    throw cause instanceof UserError && failure ? failure : cause
  }
}

/** The longest table, among those at most a folder deep, that names images; or why one that does is of no use. */
async function sniffTables(
  root: string,
  contents: FolderContents,
): Promise<{ draft?: Draft; failure?: UserError }> {
  const files = contents.others.filter((file) => /\.(csv|tsv)$/i.test(file) && file.split('/').length <= 2)
  const folders = foldersOf(contents)
  const drafts: { draft: Draft; rows: number; file: string }[] = []
  const failures: UserError[] = []
  for (const file of files.slice(0, 20)) {
    try {
      const table = await readTable(join(root, file))
      const draft =
        (await sniffTable(table, file, root, folders)) ?? (await sniffFromParent(table, file, root))
      if (draft) drafts.push({ draft, rows: table.rows.length, file })
    } catch (cause) {
      if (!(cause instanceof UserError)) throw cause
      failures.push(cause)
    }
  }
  const best = drafts.sort((a, b) => b.rows - a.rows)[0]
  if (best === undefined) return failures[0] ? { failure: failures[0] } : {}
  if (drafts.length > 1)
    best.draft.unsure.push(
      `${count(drafts.length, 'table')} describe images here; the longest was taken, not ${firstFew(drafts.slice(1).map((d) => d.file))}`,
    )
  return { draft: best.draft }
}

/** Folders of images and those above them, the nearest to the root first; past 200 a table would name them itself. */
function foldersOf(contents: FolderContents): string[] {
  const folders = new Set([''])
  for (const image of contents.images)
    for (let at = posix.dirname(image); at !== '.' && !folders.has(at); at = posix.dirname(at))
      folders.add(at)
  return [...folders].sort((a, b) => a.split('/').length - b.split('/').length).slice(0, 200)
}

/** A table whose paths start with the name of the folder it lies in, as CheXpert's do. */
function sniffFromParent(table: Table, file: string, folder: string): Promise<Draft | null> {
  return sniffTable(table, `${basename(folder)}/${file}`, dirname(folder), [''])
}

async function sniffTable(
  table: Table,
  file: string,
  root: string,
  folders: readonly string[],
): Promise<Draft | null> {
  if (table.rows.length === 0) return null
  const column = await guessImageColumn(table, root, folders, imageFinder(root))
  if (!column) return null
  const guess = guessColumns(table, column.image)
  const { labels } = guess
  const source: SourceDraft = {
    kind: 'csv',
    file,
    image: column.image,
    ...(column.images_dir ? { images_dir: column.images_dir } : {}),
    ...(guess.patient ? { patient: guess.patient } : {}),
    ...(guess.study ? { study: guess.study } : {}),
    labels: labels.config,
    ...(guess.attributes.length > 0 ? { attributes: guess.attributes } : {}),
  }
  return {
    root,
    source,
    split: guess.part ? { column: guess.part } : { ...RANDOM_SPLIT },
    labels: labels.labels,
    exclusive: labels.exclusive,
    found: [
      `a table, ${file}, with ${count(table.rows.length, 'row')}; column "${column.image}" names the images${column.images_dir ? `, below ${column.images_dir}/` : ''}`,
      ...guess.found,
    ],
    unsure: guess.unsure,
  }
}

async function sniffClassFolders(folder: string, contents: FolderContents): Promise<Draft> {
  // An unpacked archive often holds one folder, which holds everything.
  const { root, images } = enterSingleFolders(folder, contents.images)
  const hasParts = isSplitInFolders(images)
  const depth = hasParts ? 2 : 1
  const counts = new Map<string, number>()
  for (const path of images) {
    const folders = path.split('/').slice(0, -1)
    const name = folders[depth - 1]
    if (name !== undefined) counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  if (counts.size < 2) throw new UserError(withoutLabels(root, images))
  if (counts.size > 100)
    throw new UserError(
      `${folder} holds ${counts.size} folders of images: too many for classes, so they may be patients, and nothing says what the images show.\n${TABLE_ADVICE(images)}`,
    )
  const guess = guessFolders([...counts.keys()].sort())
  const patients = guessPatientPattern(images, depth)
  const source: SourceDraft = {
    kind: 'folder',
    ...(patients ? { patient: patients.pattern } : {}),
    ...(guess.negative.length > 0 ? { negative: guess.negative } : {}),
  }
  const found = [
    `class folders${hasParts ? ' in part folders' : ''}: ${[...counts].map(([name, n]) => `${name} (${n})`).join(', ')}`,
    guess.why,
  ]
  const unsure: string[] = []
  if (patients)
    unsure.push(
      `patients were guessed from ${patients.why}: ${patients.patients} of them; check data.source.patient`,
    )
  else
    unsure.push(
      'no patient id was recognised in the paths, so every image counts as its own patient; if they carry one, write an expression for it in data.source.patient',
    )
  if (root !== folder) found.unshift(`everything lies in ${basename(root)}/`)
  return {
    root,
    source,
    split: hasParts && coversTraining(images) ? { official: true } : { ...RANDOM_SPLIT },
    labels: guess.labels,
    exclusive: guess.exclusive,
    found,
    unsure,
  }
}

/** As for a table, but a folder named like 'unknown' is a class: folders have no masked labels. */
function guessFolders(names: readonly string[]): ClassGuess {
  const guess = guessClasses(names)
  if (guess.unknown.length === 0) return guess
  const why = `${names.length} classes that exclude each other, ${firstFew(guess.unknown)} among them`
  return { labels: [...names], negative: [], unknown: [], exclusive: true, why }
}

function coversTraining(images: readonly string[]): boolean {
  return images.some((path) => partNamed(path.slice(0, path.indexOf('/'))) === 'train')
}

function enterSingleFolders(folder: string, images: readonly string[]): { root: string; images: string[] } {
  const first = images[0]!.split('/')[0]!
  const holdsAll = images.every((path) => path.startsWith(`${first}/`))
  const hasFoldersBelow = images.some((path) => path.split('/').length > 2)
  if (!holdsAll || !hasFoldersBelow) return { root: folder, images: [...images] }
  return enterSingleFolders(
    join(folder, first),
    images.map((path) => path.slice(first.length + 1)),
  )
}

function withoutLabels(root: string, images: readonly string[]): string {
  return `${root} holds ${count(images.length, 'image')} but nothing says what they show: there is neither a table nor a folder a class.\n${TABLE_ADVICE(images)}`
}

const TABLE_ADVICE = (images: readonly string[]) =>
  '  do: sort the images into a folder a class, such as normal/ and pneumonia/,\n' +
  '      or write a table beside them, labels.csv, and run this again:\n' +
  '        file,patient_id,label\n' +
  images
    .slice(0, 2)
    .map((path) => `        ${JSON.stringify(path).slice(1, -1)},<patient>,<class>\n`)
    .join('')
    .trimEnd()

async function sniffChestXray14(root: string): Promise<Draft> {
  const probe = await readSource(
    DataConfig.parse({ root, source: { kind: 'chestxray14' } }),
    Task.parse({ kind: 'classify', labels: [...CHESTXRAY14_LABELS] }),
    root,
  )
  const labels = CHESTXRAY14_LABELS.filter((label) => probe.cases.some((c) => c.labels[label] === 1))
  const isPhantom = (await readManifest(root)) !== null
  return {
    root,
    source: { kind: 'chestxray14' },
    split: probe.has_given_split ? { official: true } : { ...RANDOM_SPLIT },
    labels: labels.length > 0 ? labels : [...CHESTXRAY14_LABELS],
    exclusive: false,
    found: [
      `${isPhantom ? 'a synthetic phantom in the layout of ChestX-ray14' : 'NIH ChestX-ray14 as downloaded'}, with patients, age, sex and view`,
      `${count(labels.length, 'finding')} of 14 ${labels.length === 1 ? 'occurs' : 'occur'}`,
    ],
    unsure:
      probe.skipped.length > 0 ? [`${probe.skipped.length} images that the table names are not there`] : [],
  }
}

function isMhist(table: Table): boolean {
  return table.columns.includes('Majority Vote Label') && table.columns.includes('Image Name')
}

function sniffMhist(root: string): Draft {
  return {
    root,
    source: { kind: 'mhist' },
    split: { official: true },
    labels: ['SSA'],
    exclusive: false,
    found: [
      'MHIST as downloaded: sessile serrated adenoma (SSA) against hyperplastic polyp, votes kept as attribute',
    ],
    unsure: ['MHIST names no patients, so every image counts as its own patient'],
  }
}
