import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { isImageName } from '../imaging/image_names.ts'
import { DataConfig, type Split } from '../schema/data.ts'
import { UserError } from '../schema/errors.ts'
import { Task } from '../schema/task.ts'
import { explain } from '../storage/local.ts'
import { CHESTXRAY14_TABLES } from './chestxray14.ts'
import { noImages } from './folder.ts'
import { walkFolder } from './folder_walk.ts'
import { unreadFormat } from './image_files.ts'
import { readSource, type SourceData } from './read.ts'
import { sniffClassFolders } from './sniff_class_folders.ts'
import { sniffDicom } from './sniff_dicom.ts'
import { type Draft, RANDOM_SPLIT } from './sniff_draft.ts'
import { type ImagesLook, lookAtImages } from './sniff_images.ts'
import { isMhist, sniffChestXray14, sniffMhist } from './sniff_layouts.ts'
import { foldersOf, sniffFromParent, sniffTable, sniffTables } from './sniff_tables.ts'
import { count, firstFew } from './source_data.ts'
import { readTable } from './table.ts'

/** What a folder or table was taken for: enough to write a recipe, with what it rests on. */
export interface Sniffed extends Draft {
  look: ImagesLook
  /** Read by the source's own reader with this draft. */
  data: SourceData
}

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
  if (look !== null && data.deidentified) look.unreadable_files = []
  if (look === null)
    throw new UserError(
      `None of the images could be read${data.deidentified ? '' : `, e.g. ${firstFew(images, 3)}`}.\n  in: ${draft.root}\n  do: open one in a viewer; it must be PNG, JPEG, TIFF, WebP or DICOM.`,
    )
  if (look.formats.includes('dicom') && !data.deidentified)
    draft.unsure.push(
      'the files are DICOM, but cases and patients go by the ids of the table; data.deidentify: true replaces them by salted hashes',
    )
  const patients = new Set(data.cases.map((c) => c.patient_id)).size
  if (patients < 20)
    draft.unsure.push(
      `${count(patients, 'patient')} ${patients === 1 ? 'is' : 'are'} few to split in three; whatever is measured will be very uncertain`,
    )
  return { ...draft, look, data }
}

/** Reads by the draft; a given split that shares patients between its parts is replaced by one by patient. */
export async function readDraft(
  draft: Draft,
  { isOfVolumes = false }: { isOfVolumes?: boolean } = {},
): Promise<SourceData> {
  const read = () =>
    readSource(
      DataConfig.parse({ root: draft.root, source: draft.source, split: draft.split as Split }),
      Task.parse({ kind: 'classify', labels: draft.labels, exclusive: draft.exclusive }),
      draft.root,
      undefined,
      { isOfVolumes },
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
  draft.split = { ...RANDOM_SPLIT }
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
  const dicom = contents.images.length === 0 ? await sniffDicom(folder, contents) : null
  if (dicom !== null) return dicom
  try {
    if (contents.images.length === 0) throw new UserError(noImages(folder, contents.others))
    const classes = sniffClassFolders(folder, contents)
    if (failure) classes.unsure.push(`a table was passed over: ${failure.message.split('\n')[0]}`)
    return classes
  } catch (cause) {
    // Without class folders it is the table that must be mended.
    throw cause instanceof UserError && failure ? failure : cause
  }
}
