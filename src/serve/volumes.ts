import { dicomMaskOrWarning } from '../package/dicom_mask.ts'
import type { LoadedSegmenter } from '../package/load_segmenter.ts'
import { maskViews } from '../package/mask_views.ts'
import { type SegmentedCase, segmentCase, type VolumeFiles } from '../package/segment_case.ts'
import { refuseBeyondMemory } from '../package/segment_memory.ts'
import { UserError } from '../schema/errors.ts'
import type { PredictResult } from '../schema/results.ts'
import type { MemoryBudget } from '../storage/memory_budget.ts'
import { HttpError } from './http_error.ts'
import type { MaskKind } from './mask_file.ts'
import type { UnzipLimits } from './unzip.ts'
import type { Upload } from './uploads.ts'
import { volumeUploads } from './volume_uploads.ts'

export type ServedSegmenter = Pick<
  LoadedSegmenter,
  'model' | 'networks' | 'segment' | 'warnings' | 'digest' | 'problem'
>

export interface VolumeRequest {
  uploads: readonly Upload[]
  /** The answer is to be one mask as a file of this kind; null for JSON with all. */
  wantsFile: MaskKind | null
  /** Drawings of each mask are wanted. */
  wantsViews: boolean
  /** Whoever asked has hung up. */
  isGone(): boolean
}

export interface VolumeLimits {
  zip: UnzipLimits
  /** Memory for one case, whose header says how much it takes. */
  caseBytes: number
}

/**
 * Segments what requests bring, one request and one case at a time: beside the uploads, memory holds what one zip archive
 * inflates to and what one case takes.
 *
 * @param turn of one case at a time, shared with whatever else decodes volumes
 */
export function volumeDesk(
  limits: VolumeLimits,
  turn: MemoryBudget,
): (request: VolumeRequest, served: ServedSegmenter) => Promise<PredictResult> {
  return (request, served) => turn.run(1, () => segmentAll(request, served, limits))
}

async function segmentAll(
  { uploads, wantsFile, wantsViews, isGone }: VolumeRequest,
  served: ServedSegmenter,
  { zip, caseBytes }: VolumeLimits,
): Promise<PredictResult> {
  const { cases, failed } = isGone()
    ? { cases: [], failed: [] }
    : await volumeUploads(uploads, served.model.preprocess, zip)
  if (cases.length > 1 && wantsFile !== null)
    throw new HttpError(
      406,
      'several_masks',
      `The request holds ${cases.length} cases and a file carries one mask. Ask for application/json.`,
    )
  const result: PredictResult = { predictions: [], failed, package_digest: served.digest }
  for (const one of cases) {
    if (isGone()) break
    const made = await segmentOne(one, served, caseBytes)
    if ('reason' in made) result.failed.push(made)
    else result.predictions.push(await answerOf(one, made, served, wantsViews))
  }
  return result
}

async function answerOf(
  { case_id, files }: VolumeFiles,
  { prediction, segmented, mask, encoding }: SegmentedCase,
  served: ServedSegmenter,
  wantsViews: boolean,
): Promise<PredictResult['predictions'][number]> {
  const dicom =
    segmented.stored.format === 'dicom' ? dicomMaskOrWarning(files, segmented, served, new Date()) : null
  return {
    ...prediction,
    warnings: [...prediction.warnings, ...(dicom?.warning ? [dicom.warning] : [])],
    mask: `${case_id}${encoding.ending}`,
    mask_base64: base64(mask),
    ...(dicom?.bytes && {
      mask_dicom: `${case_id}.seg.dcm`,
      mask_dicom_base64: base64(dicom.bytes),
    }),
    ...(wantsViews && {
      views_png_base64: base64(await maskViews(segmented, served.model.task.structures)),
    }),
  }
}

async function segmentOne(
  one: VolumeFiles,
  served: ServedSegmenter,
  caseBytes: number,
): Promise<SegmentedCase | PredictResult['failed'][number]> {
  try {
    await refuseBeyondMemory(one.files, served.model, caseBytes)
    return await segmentCase(served, one)
  } catch (cause) {
    if (!(cause instanceof UserError)) throw cause
    return { file: one.name, reason: cause.message }
  }
}

const base64 = (bytes: Uint8Array) =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
