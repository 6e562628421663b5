import type { Attributes, Case, Labels } from '../schema/case.ts'
import { type DicomSource, isDeidentified } from '../schema/data.ts'
import { UserError } from '../schema/errors.ts'
import { labelNames, structuresOf, type Task } from '../schema/task.ts'
import { burnedInReason } from './burned_in.ts'
import type { DicomHeader } from './dicom_header.ts'
import { DicomLabels } from './dicom_labels.ts'
import { type DicomTree, readDicomTree } from './dicom_tree.ts'
import { count, type Skipped, type SourceData, type SourceRequest } from './source_data.ts'

/**
 * DICOM files below a folder, whatever their names and folders: a case an image, or of volumes a case a series. Patients
 * are those of PatientID; labels come from a table, masks from the segmentations and structure sets in the tree.
 *
 * Case ids are the SOP instance or series UIDs; unless `data.deidentify` is false nobody sees them.
 *
 * @throws {UserError} if there is no DICOM, or the table of labels does not fit; it names no patient, UID or file
 */
export async function readDicom(source: DicomSource, request: SourceRequest<Task>): Promise<SourceData> {
  const { root, signal, privateFolder, task } = request
  const tree = await readDicomTree(root, { privateFolder, signal })
  const warnings = treeWarnings(tree)
  if (tree.files.length === 0)
    throw new UserError(
      `No DICOM file was found in ${root}; ${count(tree.numOther, 'file')} of other kinds${tree.unreadable.length > 0 ? ` and ${tree.unreadable.length} that cannot be read` : ''}.\n  do: check data.root.`,
    )
  const isOfVolumes = request.isOfVolumes ?? task.kind === 'segment'
  const units = isOfVolumes ? seriesIn(tree, source, warnings) : imagesIn(tree, source, warnings)
  const { cases, skipped } = await casesOf(units, source, request, warnings)
  const volumes = isOfVolumes ? { volumes: volumeFacts(units, task) } : {}
  return {
    cases: task.kind === 'segment' ? masked(cases, units, tree, skipped, warnings) : cases,
    labels: labelNames(task),
    warnings,
    has_given_split: false,
    synthetic: false,
    skipped: [...tree.unreadable, ...skipped],
    ...volumes,
  }
}

type DicomFile = DicomTree['files'][number]

/** The files of what may become a case; the first speaks for all. */
interface Unit {
  case_id: string
  files: DicomFile[]
}

function treeWarnings({ numOther, files }: DicomTree): string[] {
  const withoutPatient = files.filter(({ header }) => header.patient === null).length
  return [
    ...(numOther === 0 ? [] : [`${count(numOther, 'file')} of other kinds than DICOM left alone.`]),
    ...(withoutPatient === 0
      ? []
      : [
          `${count(withoutPatient, 'file')} without PatientID: their study counts as their patient, so a patient of several studies may land on both sides of the split.`,
        ]),
  ]
}

const NO_PICTURES: ReadonlySet<string> = new Set([
  'SEG',
  'RTSTRUCT',
  'RTPLAN',
  'RTDOSE',
  'SR',
  'PR',
  'KO',
  'REG',
])

/** Every single-frame image that the recipe selects. */
function imagesIn(tree: DicomTree, source: DicomSource, warnings: string[]): Unit[] {
  const pictures = selected(tree, source)
  const several = pictures.filter(({ header }) => header.frames > 1).length
  if (several > 0)
    warnings.push(`${count(several, 'file')} of several frames left out: a case is a single image.`)
  const single = distinct(
    pictures.filter(({ header }) => header.frames === 1),
    warnings,
  )
  return single.map((file) => ({ case_id: file.header.instance ?? file.path, files: [file] }))
}

/** Every series of enough slices that the recipe selects. */
function seriesIn(tree: DicomTree, source: DicomSource, warnings: string[]): Unit[] {
  const pictures = selected(tree, source).filter(({ header }) => !header.is_localizer)
  const homeless = pictures.filter(({ header }) => header.series === null).length
  if (homeless > 0) warnings.push(`${count(homeless, 'file')} without SeriesInstanceUID left out.`)
  const bySeries = Map.groupBy(
    distinct(
      pictures.filter(({ header }) => header.series !== null),
      warnings,
    ),
    ({ header }) => header.series!,
  )
  const units = [...bySeries].map(([case_id, files]): Unit => ({ case_id, files }))
  const slices = ({ files }: Unit) => files.reduce((sum, { header }) => sum + header.frames, 0)
  const enough = units.filter((unit) => slices(unit) >= source.select.min_slices)
  if (enough.length < units.length)
    warnings.push(
      `${units.length - enough.length} series of fewer than ${source.select.min_slices} slices left out (data.source.select.min_slices).`,
    )
  return enough
}

function selected({ files }: DicomTree, { select }: DicomSource): DicomFile[] {
  const description = select.description === undefined ? null : expression(select.description)
  return files.filter(
    ({ header }) =>
      header.frames > 0 &&
      !NO_PICTURES.has(header.modality ?? '') &&
      (select.modality === undefined || select.modality.includes(header.modality ?? '')) &&
      (description === null || description.test(header.description ?? '')),
  )
}

function expression(pattern: string): RegExp {
  try {
    return new RegExp(pattern, 'i')
  } catch (cause) {
    throw new UserError(
      `data.source.select.description: ${JSON.stringify(pattern)} is not a regular expression: ${(cause as Error).message}.`,
      { cause },
    )
  }
}

/** Exports repeat files under other names: of one SOP instance UID the first path is kept. */
function distinct(files: readonly DicomFile[], warnings: string[]): DicomFile[] {
  const seen = new Set<string>()
  const kept = files.filter(({ path, header }) => {
    const uid = header.instance ?? path
    return seen.has(uid) ? false : seen.add(uid)
  })
  if (kept.length < files.length)
    warnings.push(
      `${count(files.length - kept.length, 'file')} with the SOP instance UID of another left out.`,
    )
  return kept
}

async function casesOf(
  units: readonly Unit[],
  source: DicomSource,
  { data, task, root, isOfVolumes }: SourceRequest<Task>,
  warnings: string[],
): Promise<{ cases: Case[]; skipped: Skipped[] }> {
  if (task.kind === 'classify' && source.labels === null)
    throw new UserError(
      'data.source of kind dicom needs labels for task.kind: classify.\n' +
        '  do: write data.source.labels: { file: labels.csv, key: accession, key_column: …, column: … }.',
    )
  if (source.unit === 'study' && source.aggregate === 'max' && task.kind === 'classify' && task.exclusive)
    throw new UserError(
      'data.source.aggregate: the maximum of scores of classes that exclude each other is no score.\n  do: write mean.',
    )
  if (isOfVolumes && source.labels?.key === 'instance')
    throw new UserError(
      'data.source.labels.key: instance is about single images; a case of volumes is a series.\n  do: write series, study or accession.',
    )
  const names = labelNames(task)
  const table = task.kind === 'classify' ? await DicomLabels.read(source.labels!, root, names) : null
  const unknown = Object.fromEntries(names.map((name) => [name, null])) as Labels
  const mayShowText = data.allow_burned_in || !isDeidentified(data)
  const cases: Case[] = []
  const skipped: Skipped[] = []
  let numWithout = 0
  for (const { case_id, files } of units) {
    const { header, path } = files[0]!
    const labels = table === null ? unknown : table.of(header)
    if (labels === null) {
      numWithout++
      continue
    }
    const burned = mayShowText ? null : firstReason(files)
    if (burned !== null) {
      skipped.push({ case_id, file: path, reason: burned })
      continue
    }
    cases.push({
      case_id,
      patient_id: header.patient ?? header.study ?? case_id,
      ...(source.unit === 'study' && header.study !== null ? { study_id: header.study } : {}),
      images: files.map((file) => file.path),
      labels,
      attributes: attributesOf(header, source),
    })
  }
  warnings.push(...(table?.warnings(numWithout, files(units)) ?? []))
  table?.refuseNone(cases.length)
  return { cases, skipped }
}

const files = (units: readonly Unit[]) => (units.some((unit) => unit.files.length > 1) ? 'case' : 'image')

function firstReason(members: readonly DicomFile[]): string | null {
  for (const { header } of members) {
    const reason = burnedInReason(header)
    if (reason !== null) return reason
  }
  return null
}

function attributesOf(header: DicomHeader, { attributes }: DicomSource): Attributes {
  return Object.fromEntries(attributes.map((name) => [name, header.attributes[name] ?? null]))
}

/** Gives each series the one segmentation or structure set that was drawn on it; series without are no cases. */
function masked(
  cases: readonly Case[],
  units: readonly Unit[],
  tree: DicomTree,
  skipped: Skipped[],
  warnings: string[],
): Case[] {
  const seriesOf = new Map(units.map(({ case_id, files: [first] }) => [case_id, first!.header.series]))
  const drawn = Map.groupBy(
    tree.files.filter(({ header }) => header.drawn_on !== null && isMask(header)),
    ({ header }) => header.drawn_on!,
  )
  const found: Case[] = []
  let numWithout = 0
  for (const one of cases) {
    const masks = drawn.get(seriesOf.get(one.case_id) ?? '') ?? []
    if (masks.length === 1) found.push({ ...one, mask: masks[0]!.path })
    else if (masks.length === 0) numWithout++
    else
      skipped.push({
        case_id: one.case_id,
        file: one.images[0]!,
        reason: `${masks.length} segmentations or structure sets were drawn on the series. Leave one.`,
      })
  }
  if (numWithout > 0)
    warnings.push(`${count(numWithout, 'case')} without a segmentation or structure set left out.`)
  return found
}

const isMask = ({ modality }: DicomHeader) => modality === 'SEG' || modality === 'RTSTRUCT'

function volumeFacts(units: readonly Unit[], task: Task): NonNullable<SourceData['volumes']> {
  const modality = units[0]?.files[0]?.header.modality ?? ''
  const structures = task.kind === 'segment' ? structuresOf(task) : []
  const values = structures.flatMap(({ name, values }) =>
    values.map((value): [number, string] => [value, values.length === 1 ? name : `segment ${value}`]),
  )
  return {
    modalities: [modality === 'MR' ? 'MRI' : modality],
    maskValues: new Map([[0, 'background'], ...values]),
    ...(task.kind === 'segment' && task.labels !== undefined ? { maskNames: task.labels } : {}),
  }
}
