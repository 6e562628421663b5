import { join } from 'node:path'
import { findSet } from '../prepare/find_set.ts'
import { inspectCases, inspectGivenSplit, inspectSplit, type SplitView } from '../prepare/inspection.ts'
import { readKept } from '../prepare/kept_split.ts'
import { setPlace } from '../prepare/place.ts'
import { readRequest } from '../prepare/request.ts'
import { hashUnknown, lookAll, SourceHashes } from '../prepare/source_hashes.ts'
import type { Case } from '../schema/case.ts'
import { DataConfig, mayShowPixels } from '../schema/data.ts'
import { UserError } from '../schema/errors.ts'
import type { InspectResult } from '../schema/results.ts'
import { type Structure, structuresOf, Task } from '../schema/task.ts'
import { withoutIdentifiers } from '../sources/deidentify.ts'
import { readSource, type SourceData } from '../sources/read.ts'
import { type Sniffed, sniff } from '../sources/sniff.ts'
import { type ImagesLook, lookAtImages } from '../sources/sniff_images.ts'
import { sniffLabelledVolumes } from '../sources/sniff_labelled_volumes.ts'
import { guessColumns } from '../sources/sniff_table.ts'
import { type SniffedVolumes, sniffVolumes } from '../sources/sniff_volumes.ts'
import { firstFew } from '../sources/source_data.ts'
import { readTable } from '../sources/table.ts'
import { lookAtVolumes, type VolumesLook } from '../sources/volumes_look.ts'
import { imageTiles, volumeTiles, writeContactSheet } from './contact_sheet.ts'
import type { Io } from './io.ts'
import { loadRecipe } from './load_recipe.ts'

export interface InspectOptions {
  /** `path=value` overrides of the recipe. */
  set?: readonly string[]
  /** PNG to write: a row of images a label. */
  contactSheet?: string | undefined
  /** Folder of shard sets; `prepared/` in the working directory unless named. */
  prepared?: string | undefined
}

/** Files up to this many bytes together are read and compared byte by byte; of more, only those hashed before. */
const MOST_BYTES_COMPARED = 1e9

/**
 * What a recipe, a folder or a table holds: labels, patients, parts, and what is wrong with them. Of a recipe the split
 * is the one that training would use; of a folder or table, the one that comes with it.
 *
 * @throws {UserError} when the data cannot be read at all
 */
export async function inspect(target: string, options: InspectOptions, io: Io): Promise<InspectResult> {
  const isRecipe = /\.ya?ml$/i.test(target)
  if (!isRecipe && (options.set?.length ?? 0) > 0)
    throw new UserError('--set changes a recipe; name one instead of a folder or table.')
  const view = isRecipe ? await viewRecipe(target, options, io) : await viewFiles(target, io)
  const { root, data, volumes, splitOf, pixels } = view
  const look = view.look !== null && data.deidentified ? { ...view.look, unreadable_files: [] } : view.look
  const { mayShow } = view
  if (options.contactSheet !== undefined && !mayShow) throw new UserError(NO_PREVIEWS)
  const { hashes, note } = await knownHashes(root, data.cases, options, io)
  const split = splitOf(hashes)
  const found = inspectCases(data.cases, data.labels, hashes, split)
  const { warnings } = found
  warnings.unshift(...data.warnings)
  if (note !== null) warnings.push(note)
  if (volumes === null)
    warnings.push(
      ...(look === null ? ['None of the sampled images could be read.'] : pixelWarnings(look, pixels)),
    )
  if (data.skipped.length > 0)
    warnings.push(
      `${data.skipped.length} cases are listed but cannot be used, e.g. ${data.skipped[0]!.file}: ${data.skipped[0]!.reason}`,
    )
  const contactSheet =
    options.contactSheet === undefined
      ? null
      : await writeContactSheet(options.contactSheet, data.cases, data.labels, async (shown) =>
          volumes === null ? imageTiles(root, shown) : volumeTiles(root, volumes.structures),
        )
  return {
    ...found,
    images: look === null ? null : imagesOf(look),
    volumes: volumes?.look ?? null,
    skipped: data.skipped.map(({ file, reason }) => ({ file, reason })),
    synthetic: data.synthetic,
    contact_sheet: contactSheet,
  }
}

const NO_PREVIEWS =
  'A contact sheet shows pixels of de-identified cases, which is not done unless the recipe says so.\n' +
  '  do: look at them yourself for names in the images, then write data.previews: true.'

interface View {
  root: string
  data: SourceData
  /** Whether images may be drawn. */
  mayShow: boolean
  /** Of images; null where none can be read. */
  look: ImagesLook | null
  /** Of volumes; null for images. */
  volumes: { look: VolumesLook | null; structures: Structure[] } | null
  splitOf(hashes: readonly (string | null)[]): SplitView
  /** What the recipe stores, where there is one. */
  pixels: { channels: 1 | 3; fit: string } | null
}

async function viewRecipe(path: string, options: InspectOptions, io: Io): Promise<View> {
  const { recipe, root } = await loadRecipe(path, options.set ?? [])
  const request = await readRequest(recipe, root, io.signal, { prepared: options.prepared })
  const place = setPlace({ prepared: options.prepared }, '')
  const hashes = await SourceHashes.open(place.parent)
  const set = await findSet(request, place, hashes, io.signal, { mayRead: false })
  const rule = recipe.data.split
  const kept = set === null ? new Map() : await readKept(set.dir, rule)
  const data = { ...request.source, cases: request.cases }
  const volumes = recipe.prepare.kind === 'volume' ? await viewVolumes(data, recipe.task, root, io) : null
  return {
    root,
    data: volumes?.data ?? data,
    mayShow: mayShowPixels(recipe.data),
    look:
      volumes === null
        ? await lookAtImages(
            root,
            data.cases.map((one) => one.images[0]!),
          )
        : null,
    volumes,
    splitOf: (known) => inspectSplit(data.cases, rule, known, kept),
    pixels: recipe.prepare.kind === 'image' ? recipe.prepare : null,
  }
}

/** What headers say; of a segmentation with what the masks hold as labels. */
async function viewVolumes(data: SourceData, task: Task, root: string, io: Io) {
  io.log(`Reading the ${task.kind === 'segment' ? 'masks' : 'headers'} …`)
  const structures = task.kind === 'segment' ? structuresOf(task) : []
  const { look, cases, warnings } = await lookAtVolumes(root, data.cases, structures, data.volumes, io.signal)
  const shown = data.deidentified ? warnings.map((one) => withoutIdentifiers(one, [root])) : warnings
  return { look, structures, data: { ...data, cases, warnings: [...data.warnings, ...shown] } }
}

async function viewFiles(path: string, io: Io): Promise<View> {
  io.log(`Looking at ${path} …`)
  const volumes = await sniffVolumes(path, io.signal)
  if (volumes !== null) return viewSniffedVolumes(volumes, structuresOf(volumes.task), io)
  const labelled = await sniffLabelledVolumes(path, io.signal)
  if (labelled !== null) {
    const view = viewSniffedVolumes(labelled, [], io)
    const kind = 'column' in labelled.split ? 'column' : 'official'
    return { ...view, splitOf: (known) => inspectGivenSplit(labelled.data.cases, kind, known) }
  }
  const sniffed = await sniff(path)
  for (const line of sniffed.found) io.log(`found: ${line}`)
  for (const line of sniffed.unsure) io.log(`please check: ${line}`)
  const { data, kind } = await withGivenSplit(sniffed)
  return {
    root: sniffed.root,
    data,
    mayShow: !data.deidentified,
    look: sniffed.look,
    volumes: null,
    splitOf: (known) => inspectGivenSplit(data.cases, kind, known),
    pixels: null,
  }
}

function viewSniffedVolumes(
  { root, data, look, found, unsure }: Omit<SniffedVolumes, 'task' | 'source' | 'split'>,
  structures: Structure[],
  io: Io,
): View {
  for (const line of found) io.log(`found: ${line}`)
  for (const line of unsure) io.log(`please check: ${line}`)
  return {
    root,
    data,
    mayShow: !data.deidentified,
    look: null,
    volumes: { look, structures },
    splitOf: (known) => inspectGivenSplit(data.cases, 'official', known),
    pixels: null,
  }
}

/** The data with the parts that their table names, leaking or not: a recipe made from them would not use such. */
async function withGivenSplit(sniffed: Sniffed): Promise<{ data: SourceData; kind: 'column' | 'official' }> {
  const { source, root, labels, exclusive } = sniffed
  if (source.kind !== 'csv') return { data: sniffed.data, kind: 'official' }
  const column = guessColumns(await readTable(join(root, String(source.file))), String(source.image)).part
  if (column === null) return { data: sniffed.data, kind: 'column' }
  const data = await readSource(
    DataConfig.parse({ root, source, split: { column } }),
    Task.parse({ kind: 'classify', labels, exclusive }),
    root,
  )
  return { data, kind: 'column' }
}

/** SHA-256 of the cases' files, as far as they are known or quickly had. */
async function knownHashes(
  root: string,
  cases: readonly Case[],
  options: InspectOptions,
  io: Io,
): Promise<{ hashes: (string | null)[]; note: string | null }> {
  const remembered = await SourceHashes.open(setPlace({ prepared: options.prepared }, '').parent)
  const paths = cases.map((one) => join(root, one.images[0]!))
  const known = await lookAll(remembered, paths)
  const unread = known.filter(({ stamp, sha256 }) => stamp !== null && sha256 === null)
  const bytes = unread.reduce((sum, { stamp }) => sum + stamp!.size, 0)
  if (bytes > MOST_BYTES_COMPARED)
    return {
      hashes: known.map((one) => one.sha256),
      note: `Images were not compared byte by byte (${(bytes / 1e9).toFixed(1)} GB); "fiducial prepare" does that.`,
    }
  const read = await hashUnknown(remembered, paths, known, io.signal)
  return { hashes: read.map((one) => one.sha256), note: null }
}

function pixelWarnings(look: ImagesLook, pixels: View['pixels']): string[] {
  const warnings: string[] = []
  if (look.unreadable > 0)
    warnings.push(
      `${look.unreadable} of ${look.unreadable + look.sampled} sampled images cannot be read${look.unreadable_files.length > 0 ? `: ${firstFew(look.unreadable_files)}` : ''}.`,
    )
  const { height, width } = look
  if (height.min !== height.max || width.min !== width.max)
    warnings.push(
      `Images differ in size: ${height.min} to ${height.max} rows, ${width.min} to ${width.max} columns` +
        (pixels?.fit === 'squash'
          ? '; with prepare.fit: squash their aspect ratio is lost (pad keeps it).'
          : '.'),
    )
  if (look.colour === 'rgb' && pixels?.channels === 1)
    warnings.push('Images are in colour; prepare.channels: 1 makes them grey.')
  return warnings
}

function imagesOf(look: ImagesLook) {
  const { sampled, unreadable, formats, bits, colour, is_stored_as_rgb, height, width } = look
  return { sampled, unreadable, formats, bits, colour, is_stored_as_rgb, height, width }
}
