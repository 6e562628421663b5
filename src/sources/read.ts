import { stat } from 'node:fs/promises'
import { type DataConfig, isDeidentified, isGenerated } from '../schema/data.ts'
import { UserError } from '../schema/errors.ts'
import type { Task } from '../schema/task.ts'
import { explain } from '../storage/local.ts'
import { deidentified } from './deidentify.ts'
import { readSalt } from './private_folder.ts'
import { labelSources, maskSources } from './registry.ts'
import {
  count,
  firstFew,
  type MaskReader,
  type SourceData,
  type SourceReader,
  type SourceRequest,
} from './source_data.ts'

export type { SourceData } from './source_data.ts'

/**
 * The cases of a data set, their labels and given parts, from its tables and folders. The order is the same
 * each time: that of the table, or of the sorted paths. A phantom is generated under `root` first, if absent or
 * made with other parameters; with `mayGenerate: false` it is only planned, and nothing is written. De-identified data
 * leave here with salted ids, by the salt of `privateFolder` or else one of this call alone.
 *
 * @param root absolute path of `data.root`
 * @throws {UserError} for whatever the user must mend before any pixel is worth reading; {StoppedError} when aborted
 */
export async function readSource(
  data: DataConfig,
  task: Task,
  root: string,
  signal?: AbortSignal,
  options: Pick<SourceRequest, 'mayGenerate' | 'isOfVolumes' | 'privateFolder'> = {},
): Promise<SourceData> {
  if (!isGenerated(data.source)) await assertFolder(root)
  const read = await readAs(data, task, { root, signal, ...options })
  const found = isDeidentified(data) ? deidentified(read, await readSalt(options.privateFolder)) : read
  if (found.cases.length === 0)
    throw new UserError(
      `No case was found in ${root}${found.skipped.length > 0 ? `; ${found.skipped.length} were skipped, e.g. ${found.skipped[0]!.file}: ${found.skipped[0]!.reason}` : ''}.\n  do: check data.root and data.source.`,
    )
  assertSplit(data, found)
  if (task.kind === 'segment') return found
  if (task.exclusive) assertExclusive(found)
  found.warnings.push(...oneClassWarnings(found))
  return found
}

async function readAs(
  data: DataConfig,
  task: Task,
  where: Omit<SourceRequest, 'data' | 'task'>,
): Promise<SourceData> {
  const { kind } = data.source
  if (task.kind === 'classify') {
    const read = (labelSources as Record<string, SourceReader<typeof kind>>)[kind]
    if (read === undefined)
      throw new UserError(
        `data.source "${kind}" reads volumes with masks; it has no labels for task.kind: classify.\n` +
          '  do: write task: { kind: segment, labels: { … } }, or name a source of labels such as csv.',
      )
    return read(data.source, { data, task, ...where })
  }
  const read = (maskSources as Record<string, MaskReader<typeof kind>>)[kind]
  if (read === undefined)
    throw new UserError(
      `data.source "${kind}" reads labelled images; it has no masks for task.kind: segment.\n` +
        `  do: name a source of masks: ${Object.keys(maskSources).join(', ')}.`,
    )
  return read(data.source, { data, task, ...where })
}

async function assertFolder(root: string): Promise<void> {
  const stats = await stat(root).catch((cause) => Promise.reject(explain(cause, `data.root: ${root}`)))
  if (!stats.isDirectory())
    throw new UserError(`data.root is a file; it must be the folder of the data set.\n  at: ${root}`)
}

function assertSplit(data: DataConfig, found: SourceData): void {
  if ('column' in data.split && data.source.kind !== 'csv')
    throw new UserError(
      `data.split.column needs a table (data.source.kind: csv); "${data.source.kind}" has none.\n  do: write { official: true } for the data set's own split, or { val: 0.15, test: 0.2 }.`,
    )
  if ('official' in data.split && !found.has_given_split)
    throw new UserError(
      `data.split asks for the data set's own split, but this one gives none: ${OWN_SPLIT[data.source.kind]}.\n  do: add it, or write data.split: { val: 0.15, test: 0.2 } for a random split by patient.`,
    )
}

const OWN_SPLIT: Record<DataConfig['source']['kind'], string> = {
  csv: 'a table names its split by data.split: { column: … }',
  folder: 'the class folders would have to lie in train/, val/ and test/',
  chestxray14: 'train_val_list.txt and test_list.txt are not both there',
  mhist: 'annotations.csv has no Partition',
  decathlon: 'the Decathlon publishes no masks of its test part',
  dicom: 'DICOM says nothing of parts',
  nnunet: 'there is no splits_final.json; with it, write { folds: 5, fold: 0 }, and its folds are used',
  phantom: 'train_val_list.txt and test_list.txt are not both there',
  phantom_volumes: 'it is not dealt into parts',
}

function assertExclusive({ cases, labels }: SourceData): void {
  const wrong = cases
    .map(
      (c) =>
        [
          c.case_id,
          labels.filter((l) => c.labels[l] === 1),
          labels.filter((l) => c.labels[l] === null),
        ] as const,
    )
    .filter(([, present, unknown]) => present.length !== 1 && unknown.length !== labels.length)
  if (wrong.length === 0) return
  const none = wrong.filter(([, present]) => present.length === 0).length
  throw new UserError(
    `task.exclusive needs exactly one label a case; ${count(none, 'case')} ${none === 1 ? 'has' : 'have'} none and ${wrong.length - none} several, e.g. ${firstFew(
      wrong.map(([id, present]) => `${id} (${present.join(' + ') || 'none'})`),
      3,
    )}.\n` +
      '  do: add the missing class to task.labels, mark values as unknown, or drop exclusive for independent labels.',
  )
}

function oneClassWarnings({ cases, labels }: SourceData): string[] {
  return labels.flatMap((label) => {
    const positive = cases.filter((c) => c.labels[label] === 1).length
    const negative = cases.filter((c) => c.labels[label] === 0).length
    if (positive > 0 && negative > 0) return []
    const what =
      positive + negative === 0 ? 'no known value' : positive === 0 ? 'no positive case' : 'no negative case'
    return [
      `Label "${label}" has ${what} (${positive} positive, ${negative} negative, ${cases.length - positive - negative} unknown): nothing can be learnt or measured for it.`,
    ]
  })
}
