import { readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { DataConfig, type Split } from '../schema/data.ts'
import { UserError } from '../schema/errors.ts'
import { type SegmentTask, structuresOf, Task } from '../schema/task.ts'
import { readTextIfExists } from '../storage/local.ts'
import { type DatasetDescription, readDatasetJson } from './dataset_json.ts'
import { regionsOfBrats } from './mask_meaning.ts'
import { readSource, type SourceData } from './read.ts'
import type { SourceDraft } from './sniff_draft.ts'
import { isTableName, sniffMaskTable } from './sniff_mask_table.ts'
import { guessPatientPattern } from './sniff_patients.ts'
import { count } from './source_data.ts'
import { lookAtVolumes, type VolumesLook } from './volumes_look.ts'

/** What a folder of volumes with masks was taken for: enough to write a recipe, with what it rests on. */
export interface SniffedVolumes {
  /** Absolute data root. */
  root: string
  source: SourceDraft
  split: Split
  task: SegmentTask
  data: SourceData
  look: VolumesLook
  /** Plain statements of what was recognised, and of what only its owner can know. */
  found: string[]
  unsure: string[]
}

/**
 * A folder in the Decathlon's or nnU-Net's layout, told by its dataset.json beside imagesTr; or a table of images and
 * masks.
 *
 * @returns null for any other folder or file
 * @throws {UserError} when it is one, and cannot be read
 */
export async function sniffVolumes(path: string, signal?: AbortSignal): Promise<SniffedVolumes | null> {
  const root = resolve(path)
  const stats = await stat(root).catch(() => null)
  if (stats === null) return null
  const names = stats.isDirectory() ? await readdir(root) : []
  if (!names.includes('dataset.json') || !names.includes('imagesTr'))
    return stats.isDirectory() || isTableName(root) ? sniffMaskTable(root, signal) : null
  const description = await readDatasetJson(root, "the Decathlon's or nnU-Net's raw")
  const kind = (await isSuffixed(root, description.fileEnding)) ? 'nnunet' : 'decathlon'
  const task = taskOf(description)
  const read = (source: SourceDraft, split: object = {}) =>
    readSource(DataConfig.parse({ root, source, split }), task, root, signal)

  const unnamed = await read({ kind })
  const ids = unnamed.cases.map((one) => one.case_id)
  const guess = guessPatientPattern(ids, null)
  const source: SourceDraft = guess === null ? { kind } : { kind, patient: guess.pattern }
  const patients = guess?.patients ?? ids.length
  const split = await splitOf(kind, root, patients)
  const data = await read(source, split)
  const structures = structuresOf(task)
  const { look, cases, warnings } = await lookAtVolumes(root, data.cases, structures, data.volumes!, signal)
  if (look === null) throw new UserError(`None of the volumes can be read.\n  ${warnings.join('\n  ')}`)
  return {
    root,
    source,
    split,
    task,
    data: { ...data, cases, warnings: [...data.warnings, ...warnings] },
    look,
    found: [
      `${kind === 'nnunet' ? "nnU-Net's raw layout" : "the Decathlon's layout"}: ${count(ids.length, look.distance_unit === 'px' ? 'image' : 'volume')} with masks, channels ${description.modalities.join(', ')}`,
      `masks hold ${[...description.maskValues].map(([value, name]) => `${value} ${name}`).join(', ')}, as dataset.json says`,
      ...(guess === null ? [] : [`${count(guess.patients, 'patient')}: ${guess.why}`]),
      ...('folds' in split && names.includes('splits_final.json')
        ? ['splits_final.json, whose folds are used']
        : []),
    ],
    unsure: [
      ...(guess === null
        ? [
            `nothing names the patients: if one has several ${look.distance_unit === 'px' ? 'images' : 'volumes'}, give data.source.patient a pattern`,
          ]
        : []),
      ...(task.regions === undefined
        ? []
        : [
            'the names are those of BraTS, so its nested regions are segmented; write labels instead for parts that exclude each other',
          ]),
      ...(patients < 20
        ? [
            `${count(patients, 'patient')} ${patients === 1 ? 'is' : 'are'} few; whatever is measured will be very uncertain`,
          ]
        : []),
    ],
  }
}

/** Every file ends in a channel such as _0000, as nnU-Net wants it. */
async function isSuffixed(root: string, ending: string): Promise<boolean> {
  const files = (await readdir(join(root, 'imagesTr'))).filter(
    (name) => !name.startsWith('.') && name.endsWith(ending),
  )
  return files.length > 0 && files.every((name) => /_\d{4}$/.test(name.slice(0, -ending.length)))
}

function taskOf({ maskValues }: DatasetDescription): SegmentTask {
  const regions = regionsOfBrats(maskValues)
  const labels = Object.fromEntries(
    [...maskValues].filter(([value]) => value !== 0).map(([value, name]) => [name, value]),
  )
  return Task.parse({ kind: 'segment', ...(regions === null ? { labels } : { regions }) }) as SegmentTask
}

async function splitOf(kind: string, root: string, patients: number): Promise<Split> {
  const own = kind === 'nnunet' ? await stat(join(root, 'splits_final.json')).catch(() => null) : null
  if (own === null && patients < 5) return { val: 0.5, test: 0, seed: 0 }
  const folds = own === null ? 5 : await countFolds(root)
  return { folds, fold: 0, seed: 0 }
}

async function countFolds(root: string): Promise<number> {
  const text = await readTextIfExists(join(root, 'splits_final.json'))
  try {
    const folds: unknown = JSON.parse(text ?? '')
    return Array.isArray(folds) && folds.length >= 2 ? folds.length : 5
  } catch (cause) {
    // The reader says what is wrong with the file.
    if (cause instanceof SyntaxError) return 5
    throw cause
  }
}
