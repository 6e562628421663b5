import { join } from 'node:path'
import { evaluateSegments, type SegmentCase } from '../evaluate/evaluate_segments.ts'
import { ABSENT, type MeasuredMasks, measureMasks } from '../evaluate/measure_masks.ts'
import { unitOf } from '../imaging/preprocess_volume.ts'
import type { Volume } from '../imaging/volume.ts'
import { renderSegmentReport } from '../report/segment_report.ts'
import { StoppedError, UserError } from '../schema/errors.ts'
import { SegmentEvaluation } from '../schema/evaluation_segment.ts'
import type { DryRunResult } from '../schema/results.ts'
import { count, firstFew } from '../sources/source_data.ts'
import { tableName } from '../sources/table.ts'
import { writeAtomic } from '../storage/local.ts'
import { type CaseTable, readCaseTable } from './case_table.ts'
import { evaluateConfig } from './evaluate_tables.ts'
import { folderImages } from './folder_images.ts'
import type { Io } from './io.ts'
import { type MaskFiles, maskPairs } from './mask_pairs.ts'
import { type MaskVolumes, maskPairOf, readMaskVolumes } from './read_masks.ts'
import { segmentFigures } from './segment_figures.ts'

/** Others' segmentations: a folder of predicted masks, one of references, with equal file names. */
export interface MaskFolders {
  predictions: string
  labels: string
  /** Label → voxel values; without it each value of the references is a label of its own. */
  names?: Readonly<Record<string, readonly number[]>>
  /** A table with `case_id`, `patient_id` if known, and any attributes. */
  cases?: string
  /** A folder of the images, with the masks' names or those and `_0000`, for the report. */
  images?: string
}

export interface EvaluateMasksOptions {
  split: SegmentEvaluation['split']
  /** Attributes whose groups get metrics of their own, instead of `evaluate.subgroups`. */
  subgroups?: readonly string[]
  /** `evaluate.…=value` overrides. */
  set?: readonly string[]
  /** Folder for evaluation.json and report.html; without it nothing is written. */
  out?: string
}

/**
 * Dice, surface Dice, HD95 and volume errors with intervals of masks that another tool made. Needs no run, no package
 * and no Python.
 *
 * ```ts
 * const { per_label } = await evaluateMasks({ predictions: 'predicted', labels: 'labelsTs' }, { split: 'test' }, io)
 * ```
 * @throws {UserError} naming every case whose masks cannot be compared
 */
export async function evaluateMasks(
  folders: MaskFolders,
  options: EvaluateMasksOptions,
  io: Io,
): Promise<SegmentEvaluation> {
  const config = evaluateConfig(options.set ?? [])
  const files = await maskPairs(folders.predictions, folders.labels)
  const table =
    folders.cases === undefined
      ? null
      : await readCaseTable(
          folders.cases,
          files.map(({ case_id }) => case_id),
        )
  const subgroups = options.subgroups ?? config.subgroups
  requireAttributes(subgroups, table, folders.cases)
  const { measured, unit } = await measureAll(files, folders.names ?? null, config.surface_tolerance_mm, io)
  const { labels, warnings } = labelsOf(measured, folders.names)
  if (!table?.hasPatients) warnings.unshift(patientWarning(folders.cases))
  const cases = [...measured].map(
    ([case_id, { per_label }]): SegmentCase => ({
      case_id,
      ...(table?.of(case_id) ?? { patient_id: case_id, attributes: {} }),
      per_label: Object.fromEntries(Object.keys(labels).map((name) => [name, per_label[name] ?? ABSENT])),
    }),
  )
  const evaluation = evaluateSegments(cases, {
    labels,
    surface_tolerance_mm: config.surface_tolerance_mm,
    ...unit,
    source: tableName(folders.predictions),
    split: options.split,
    bootstrap: config.bootstrap,
    confidence: config.confidence,
    seed: config.seed,
    subgroups,
    clusters: table?.hasPatients ? 'patient' : 'case',
    test_openings: 0,
    warnings,
  })
  SegmentEvaluation.parse(evaluation)
  if (options.out !== undefined) await write(options.out, evaluation, files, folders.images, io)
  return evaluation
}

/** What `evaluateMasks` would do: nothing is written, no voxel read. */
export async function planEvaluateMasks(folders: MaskFolders, out?: string): Promise<DryRunResult> {
  const files = await maskPairs(folders.predictions, folders.labels)
  const of = folders.names ? ` of ${Object.keys(folders.names).join(', ')}` : ''
  return {
    dry_run: true,
    would: [
      `evaluate ${count(files.length, 'pair')} of masks${of}`,
      out === undefined
        ? 'print the result and write nothing'
        : `write the evaluation and a report into ${out}`,
    ],
  }
}

/**
 * Each case's metrics; while one is measured the next is read, unless they are large.
 *
 * @throws {UserError} listing all cases that cannot be measured
 */
async function measureAll(
  files: readonly MaskFiles[],
  labels: MaskFolders['names'] | null,
  tolerance_mm: number,
  io: Io,
): Promise<{ measured: Map<string, MeasuredMasks>; unit: Pick<Volume, 'distance_unit'> }> {
  const measured = new Map<string, MeasuredMasks>()
  let unit: Pick<Volume, 'distance_unit'> | null = null
  const mistakes: string[] = []
  const read = (i: number) => settled(readMaskVolumes(files[i]!))
  let next: Promise<Settled<MaskVolumes>> | null = null
  for (const [i, { case_id }] of files.entries()) {
    if (io.signal.aborted) throw new StoppedError('Stopped while measuring masks; nothing was written.')
    const found: Settled<MaskVolumes> = await (next ?? read(i))
    next = i + 1 < files.length && isSmall(found) ? read(i + 1) : null
    try {
      if ('mistake' in found) throw found.mistake
      const pair = maskPairOf(found.value)
      unit ??= unitOf(found.value.reference)
      if (unit.distance_unit !== found.value.reference.distance_unit)
        throw new UserError('It is a 2D image among volumes, or the other way round: evaluate them apart.')
      measured.set(case_id, measureMasks(pair, labels ?? null, tolerance_mm))
    } catch (cause) {
      if (!(cause instanceof UserError)) throw cause
      mistakes.push(`${case_id}: ${cause.message.replaceAll('\n', '\n  ')}`)
    }
    io.progress?.(`measured ${i + 1} of ${count(files.length, 'case')}`)
  }
  if (mistakes.length === 0) return { measured, unit: unit ?? {} }
  const more = mistakes.length - MOST_MISTAKES
  throw new UserError(
    `${count(mistakes.length, 'case')} of ${files.length} cannot be measured:\n  ` +
      mistakes.slice(0, MOST_MISTAKES).join('\n  ') +
      (more > 0 ? `\n  and ${more} more` : ''),
  )
}

const MOST_MISTAKES = 10
/** Of the larger ones one pair is enough to hold in memory. */
const MOST_VOXELS_AHEAD = 2 ** 27

const isSmall = (found: Settled<MaskVolumes>): boolean =>
  'value' in found && found.value.reference.data.length < MOST_VOXELS_AHEAD

type Settled<T> = { value: T } | { mistake: unknown }

/** Failures are kept until they are asked for. */
const settled = <T>(work: Promise<T>): Promise<Settled<T>> =>
  work.then(
    (value) => ({ value }),
    (mistake: unknown) => ({ mistake }),
  )

/** The labels to report: those named, or the values that some reference has. Warns of values that belong to none. */
function labelsOf(
  measured: ReadonlyMap<string, MeasuredMasks>,
  names: MaskFolders['names'],
): { labels: Record<string, readonly number[]>; warnings: string[] } {
  const all = [...measured.values()]
  if (names) {
    const told = (mask: 'reference' | 'prediction') => {
      const values = [...new Set(all.flatMap(({ unlisted }) => unlisted[mask]))].sort((a, b) => a - b)
      if (values.length === 0) return []
      const cases = all.filter(({ unlisted }) => unlisted[mask].length > 0).length
      return [
        `${count(cases, mask)} ${cases === 1 ? 'has' : 'have'} voxels of no named label (${firstFew(values.map(String))}), which count as background.`,
      ]
    }
    return { labels: names, warnings: [...told('reference'), ...told('prediction')] }
  }
  const found = [...new Set(all.flatMap(({ per_label }) => Object.keys(per_label)))].sort(
    (a, b) => Number(a) - Number(b),
  )
  const isReferenced = (name: string) =>
    all.some(({ per_label }) => ['found', 'missed'].includes(per_label[name]?.outcome ?? ''))
  const labels = found.filter(isReferenced)
  const others = found.filter((name) => !isReferenced(name))
  if (labels.length === 0)
    throw new UserError(
      'Every reference is empty, so nothing says what is to be found.\n  do: name the labels, e.g. --names lesion=1.',
    )
  const warnings =
    others.length === 0
      ? []
      : [
          `Predictions have voxels of ${firstFew(others)}, which no reference has: they count as background. --names makes them labels.`,
        ]
  return { labels: Object.fromEntries(labels.map((name) => [name, [Number(name)]])), warnings }
}

function requireAttributes(
  subgroups: readonly string[],
  table: CaseTable | null,
  path: string | undefined,
): void {
  const known = table?.attributes ?? []
  const unknown = subgroups.filter((name) => !known.includes(name))
  if (unknown.length === 0) return
  throw new UserError(
    path === undefined
      ? `Subgroups by ${unknown.join(', ')} need a table that says so of each case: --cases cases.csv.`
      : `${tableName(path)} has no column ${unknown.map((name) => `"${name}"`).join(', ')} for subgroups.\n  attributes found: ${known.join(', ') || 'none'}`,
  )
}

const patientWarning = (path: string | undefined): string =>
  `${path === undefined ? 'No table of cases says whose masks these are' : `${tableName(path)} has no patient_id`}: ` +
  'every case counts as its own patient. If patients have several cases, the intervals are too narrow.'

async function write(
  out: string,
  evaluation: SegmentEvaluation,
  files: readonly MaskFiles[],
  images: string | undefined,
  io: Io,
): Promise<void> {
  const byId = new Map(files.map((one) => [one.case_id, one]))
  const imageOf = images === undefined ? null : await folderImages(images)
  const { figures, warnings } = await segmentFigures(evaluation, async (case_id) => ({
    ...(await readMaskVolumes(byId.get(case_id)!)),
    image: (await imageOf?.(case_id)) ?? null,
  }))
  await writeAtomic(join(out, 'evaluation.json'), `${JSON.stringify(evaluation, null, 2)}\n`)
  const report = { evaluation, figures, warnings, title: evaluation.source, synthetic: false }
  await writeAtomic(join(out, 'report.html'), renderSegmentReport(report))
  io.log(`wrote ${join(out, 'evaluation.json')} and report.html`)
}
