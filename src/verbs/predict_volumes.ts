import { join } from 'node:path'
import { dicomMaskOrWarning } from '../package/dicom_mask.ts'
import type { LoadedSegmenter } from '../package/load_segmenter.ts'
import { type SegmentedCase, segmentCase } from '../package/segment_case.ts'
import { StoppedError, UserError } from '../schema/errors.ts'
import type { PredictResult } from '../schema/results.ts'
import { csvText } from '../storage/csv.ts'
import { readBytes, writeAtomic } from '../storage/local.ts'
import type { Io } from './io.ts'
import { maskFileName } from './mask_file_name.ts'
import { type VolumeInput, volumeInputs } from './volume_inputs.ts'

/**
 * Segments volumes one after the other; masks go to `out` as NIfTI on the grid of each case's own files, of 2D images as
 * PNG of their size, and of a DICOM series as a DICOM Segmentation besides. A case that cannot be read is listed in
 * `failed` and stops nothing.
 *
 * @throws {UserError} when there is no volume at all
 */
export async function predictVolumes(
  loaded: LoadedSegmenter,
  paths: readonly string[],
  out: string | undefined,
  io: Io,
): Promise<PredictResult> {
  const inputs = await volumeInputs(paths, loaded.model.preprocess)
  const result: PredictResult = { predictions: [], failed: [], package_digest: loaded.digest }
  const names = new Set<string>()
  if (out === undefined) io.log('note: masks are measured and not kept; --out names a folder for them.')
  for (const input of inputs) {
    if (io.signal.aborted) throw new StoppedError('Stopped. Masks that were finished are kept.')
    io.log(`segmenting ${input.name}`)
    const one = await segmentOne(loaded, input, out, names)
    if ('reason' in one) result.failed.push(one)
    else result.predictions.push(one)
  }
  if (out !== undefined) {
    await writeAtomic(join(out, 'predictions.json'), `${JSON.stringify(result, null, 2)}\n`)
    await writeAtomic(join(out, 'volumes.csv'), volumesCsv(result, loaded))
    io.log(`wrote ${result.predictions.length} masks, volumes.csv and predictions.json into ${out}`)
  }
  return result
}

async function segmentOne(
  loaded: LoadedSegmenter,
  { case_id, name, files, problem }: VolumeInput,
  out: string | undefined,
  names: Set<string>,
): Promise<PredictResult['predictions'][number] | PredictResult['failed'][number]> {
  try {
    if (problem !== undefined) throw new UserError(problem)
    const bytes: Uint8Array[] = []
    for (const file of files) bytes.push(await readBytes(file))
    const made = await segmentCase(loaded, { name, case_id, files: bytes })
    if (out === undefined) return made.prediction
    const mask = join(out, maskFileName(case_id, names, made.encoding.ending))
    await writeAtomic(mask, made.mask)
    const prediction = { ...made.prediction, mask }
    return made.segmented.stored.format === 'dicom'
      ? withDicomMask(prediction, loaded, bytes, made)
      : prediction
  } catch (cause) {
    if (!(cause instanceof UserError)) throw cause
    return { file: name, reason: cause.message }
  }
}

/** A series that a segmentation cannot refer to still has its mask as NIfTI. */
async function withDicomMask(
  prediction: SegmentedCase['prediction'] & { mask: string },
  loaded: LoadedSegmenter,
  files: readonly Uint8Array[],
  { segmented }: SegmentedCase,
): Promise<SegmentedCase['prediction']> {
  const { bytes, warning } = dicomMaskOrWarning(files, segmented, loaded, new Date())
  if (bytes === null) return { ...prediction, warnings: [...prediction.warnings, warning] }
  const mask_dicom = prediction.mask.replace(/\.nii\.gz$/, '.seg.dcm')
  await writeAtomic(mask_dicom, bytes)
  return { ...prediction, mask_dicom }
}

function volumesCsv({ predictions }: PredictResult, { model }: LoadedSegmenter): string {
  const labels = model.task.structures.map(({ name }) => name)
  const isFlat = model.preprocess.distance_unit === 'px'
  const header = [
    'case_id',
    ...labels.map((label) => `${label}_${isFlat ? 'px' : 'ml'}`),
    'mask',
    'mask_dicom',
    'file',
    'input_sha256',
    'warnings',
  ]
  const rows = predictions.map((one) => [
    one.case_id,
    ...labels.map((label) => (one.areas_px ?? one.volumes_ml)![label]!),
    one.mask ?? '',
    one.mask_dicom ?? '',
    one.file,
    one.input_sha256,
    one.warnings.join(' '),
  ])
  return csvText([header, ...rows])
}
