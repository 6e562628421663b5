import { join } from 'node:path'
import { z } from 'zod'
import { isImageName } from '../imaging/image_names.ts'
import { UserError } from '../schema/errors.ts'
import { parse } from '../schema/parse.ts'
import type { SegmentTask } from '../schema/task.ts'
import { listFolder, readTextIfExists } from '../storage/local.ts'
import { readDatasetJson } from './dataset_json.ts'
import { type MaskedVolume, maskedCases } from './mask_cases.ts'
import { assertMeaning } from './mask_meaning.ts'
import { count, firstFew, type SourceData, type SourceOf, type SourceRequest } from './source_data.ts'

/**
 * nnU-Net's raw layout (Isensee et al., Nature Methods 18, 2021): `imagesTr/<case>_0000.nii.gz`, one file a channel,
 * `labelsTr/<case>.nii.gz`, `dataset.json`; with `file_ending: .png` of 2D images. `splits_final.json`, beside it or as
 * nnU-Net leaves it in its folder of preprocessed data and copied here, gives the folds.
 */
export async function readNnUNet(
  source: SourceOf<'nnunet'>,
  request: SourceRequest<SegmentTask>,
): Promise<SourceData> {
  const { root, task, data } = request
  const description = await readDatasetJson(root, "nnU-Net's raw")
  assertMeaning(task, description.maskValues)
  const { fileEnding, modalities } = description
  const visible = async (folder: string) =>
    (await listFolder(join(root, folder))).filter(
      (name) => !name.startsWith('.') && name.endsWith(fileEnding),
    )
  const images = await visible('imagesTr')
  const masks = new Set((await visible('labelsTr')).map((name) => name.slice(0, -fileEnding.length)))
  if (images.length === 0)
    throw new UserError(
      `There is no file ending in ${fileEnding} in ${join(root, 'imagesTr')}.\n  do: check data.root and file_ending in dataset.json.`,
    )

  const channelsOf = new Map<string, Map<number, string>>()
  const warnings: string[] = []
  const unnamed: string[] = []
  for (const name of images) {
    const [, id, channel] = /^(.+)_(\d{4})$/.exec(name.slice(0, -fileEnding.length)) ?? []
    if (id === undefined) {
      unnamed.push(name)
      continue
    }
    const channels = channelsOf.get(id) ?? new Map<number, string>()
    channelsOf.set(id, channels.set(Number(channel), `imagesTr/${name}`))
  }
  if (unnamed.length > 0)
    warnings.push(
      `${count(unnamed.length, 'file')} in imagesTr/ ${unnamed.length === 1 ? 'has' : 'have'} no channel such as _0000 at the end and ${unnamed.length === 1 ? 'is' : 'are'} left alone: ${firstFew(unnamed)}.`,
    )

  const folds = 'folds' in data.split ? await readFolds(root, data.split.folds) : null
  const skipped: SourceData['skipped'] = []
  const found: MaskedVolume[] = []
  for (const [id, channels] of [...channelsOf].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const paths = isRgb(channels, fileEnding, modalities)
      ? [channels.get(0)]
      : modalities.map((_, channel) => channels.get(channel))
    const missing = paths.flatMap((path, channel) =>
      path === undefined ? [`${modalities[channel]} (_${String(channel).padStart(4, '0')})`] : [],
    )
    const mask = `labelsTr/${id}${fileEnding}`
    if (missing.length > 0)
      skipped.push({
        file: [...channels.values()][0]!,
        reason: `There is no file of ${missing.join(', ')}. Restore it, or take the case out.`,
      })
    else if (channels.size > modalities.length)
      skipped.push({
        file: [...channels.values()][0]!,
        reason: `It has ${channels.size} channels; dataset.json names ${modalities.length}.`,
      })
    else if (!masks.has(id))
      skipped.push({ file: paths[0]!, reason: `There is no mask ${mask}. Restore it, or take the case out.` })
    else
      found.push({
        case_id: id,
        images: paths as string[],
        mask,
        ...(folds === null ? {} : foldOf(folds, id)),
      })
  }
  for (const id of masks)
    if (!channelsOf.has(id))
      skipped.push({
        file: `labelsTr/${id}${fileEnding}`,
        reason: `There is no image imagesTr/${id}_0000${fileEnding}. Restore it, or take the case out.`,
      })
  return maskedCases(found, skipped, warnings, description, source.patient, request)
}

/** nnU-Net keeps the three channels of a colour image in one file, `_0000.png`, and of grey images a file a channel. */
function isRgb(channels: ReadonlyMap<number, string>, fileEnding: string, modalities: readonly string[]) {
  return isImageName(fileEnding) && modalities.length === 3 && channels.size === 1 && channels.has(0)
}

const SplitsFinal = z.array(z.object({ train: z.array(z.string()), val: z.array(z.string()) })).min(1)

/** Case → the fold that validates on it, or null where there is no splits_final.json. */
async function readFolds(root: string, wanted: number): Promise<Map<string, number> | null> {
  const path = join(root, 'splits_final.json')
  const text = await readTextIfExists(path)
  if (text === null) return null
  const folds = parse(SplitsFinal, JSON.parse(text), path)
  if (folds.length !== wanted)
    throw new UserError(
      `splits_final.json has ${folds.length} folds; data.split.folds is ${wanted}.\n  do: write folds: ${folds.length}, or take that file away for folds of our own.`,
    )
  const foldOfCase = new Map<string, number>()
  for (const [fold, { train, val }] of folds.entries()) {
    const both = val.filter((id) => train.includes(id))
    if (both.length > 0)
      throw new UserError(`splits_final.json: fold ${fold} trains and validates on ${firstFew(both)}.`)
    for (const id of val) {
      if (foldOfCase.has(id))
        throw new UserError(
          `splits_final.json: ${id} is validated in folds ${foldOfCase.get(id)} and ${fold}; each case belongs to one.`,
        )
      foldOfCase.set(id, fold)
    }
  }
  return foldOfCase
}

function foldOf(folds: ReadonlyMap<string, number>, id: string): { fold: number } {
  const fold = folds.get(id)
  if (fold === undefined)
    throw new UserError(
      `splits_final.json validates ${id} in no fold.\n  do: add it to one, or take its files out.`,
    )
  return { fold }
}
