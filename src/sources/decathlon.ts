import { basename, join } from 'node:path'
import { UserError } from '../schema/errors.ts'
import type { SegmentTask } from '../schema/task.ts'
import { listFolder, stampFile } from '../storage/local.ts'
import { readDatasetJson } from './dataset_json.ts'
import { pathBelowRoot } from './image_files.ts'
import { type MaskedVolume, maskedCases } from './mask_cases.ts'
import { assertMeaning } from './mask_meaning.ts'
import { readVolumesManifest } from './phantom_volumes_write.ts'
import { count, firstFew, type SourceData, type SourceOf, type SourceRequest } from './source_data.ts'

/**
 * Medical Segmentation Decathlon (Antonelli et al., Nature Communications 13, 2022): `dataset.json` lists pairs of
 * image and mask and says what the masks' values mean. An image may hold several modalities as its fourth axis.
 */
export async function readDecathlon(
  source: SourceOf<'decathlon'>,
  request: SourceRequest<SegmentTask>,
): Promise<SourceData> {
  const { root, task } = request
  const description = await readDatasetJson(root, "the Decathlon's")
  if (description.training === null)
    throw new UserError(
      `dataset.json in ${root} lists no training pairs.\n  do: for nnU-Net's raw layout write data.source: nnunet.`,
    )
  assertMeaning(task, description.maskValues)
  const warnings: string[] = []
  const skipped: SourceData['skipped'] = []
  const found: MaskedVolume[] = []
  for (const { image, label } of description.training) {
    const paths = [image, label].map((path) => {
      const below = pathBelowRoot(root, '', path)
      if (below === null)
        throw new UserError(`dataset.json names ${JSON.stringify(path)}, which lies outside of ${root}.`)
      return below
    })
    const [imagePath, maskPath] = paths as [string, string]
    const missing = []
    if ((await stampFile(join(root, imagePath))) === null) missing.push(`its image ${imagePath}`)
    if ((await stampFile(join(root, maskPath))) === null) missing.push(`its mask ${maskPath}`)
    if (missing.length > 0)
      skipped.push({
        file: missing.length === 1 && missing[0]!.startsWith('its image') ? maskPath : imagePath,
        reason: `There is no file for ${missing.join(' and ')}. Restore it, or take the pair out of dataset.json.`,
      })
    else found.push({ case_id: caseName(imagePath), images: [imagePath], mask: maskPath })
  }
  warnings.push(...(await unlisted(root, description.training)))
  const data = maskedCases(found, skipped, warnings, description, source.patient, request)
  return (await readVolumesManifest(root)) === null ? data : synthetic(data)
}

/** A phantom's folder stays one, whatever it is read as. */
const synthetic = (data: SourceData): SourceData => ({
  ...data,
  cases: data.cases.map((one) => ({ ...one, attributes: { ...one.attributes, synthetic: 'yes' } })),
  synthetic: true,
})

/** 'imagesTr/hippocampus_006.nii.gz' is hippocampus_006. */
export const caseName = (path: string) =>
  basename(path).replace(/\.(nii\.gz|nii|nrrd|mha|mhd|hdr|img|png|jpe?g|tiff?|webp)$/i, '')

/** Files beside those listed: a case that was forgotten is better said than lost. */
async function unlisted(
  root: string,
  training: readonly { image: string; label: string }[],
): Promise<string[]> {
  const lines = []
  for (const [folder, key, noun] of [
    ['imagesTr', 'image', 'image'],
    ['labelsTr', 'label', 'mask'],
  ] as const) {
    const listed = new Set(training.map((pair) => basename(pair[key])))
    const others = (await listFolder(join(root, folder))).filter(
      (name) => !name.startsWith('.') && /\.nii(\.gz)?$/.test(name) && !listed.has(name),
    )
    if (others.length > 0)
      lines.push(
        `${count(others.length, noun)} in ${folder}/ ${others.length === 1 ? 'is' : 'are'} not in dataset.json and left alone: ${firstFew(others)}.`,
      )
  }
  return lines
}
