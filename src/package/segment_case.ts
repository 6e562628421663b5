import type { PredictResult } from '../schema/results.ts'
import { inputSha256 } from './input_sha256.ts'
import type { LoadedSegmenter } from './load_segmenter.ts'
import { type MaskEncoding, maskEncoding } from './mask_encoding.ts'
import type { Segmented } from './segment.ts'

/** A case to segment, read. */
export interface VolumeFiles {
  /** As the results name it. */
  name: string
  case_id: string
  /** One file, one a channel, or the instances of a series. */
  files: readonly Uint8Array[]
}

export interface SegmentedCase {
  /** All but where its mask lies. */
  prediction: PredictResult['predictions'][number]
  segmented: Segmented
  /** The mask as a file, on the grid of the case's own files. */
  mask: Uint8Array
  encoding: MaskEncoding
}

/**
 * Segments one case: what `predict` writes and the server answers.
 *
 * @throws {UserError} for files that cannot be segmented
 */
export async function segmentCase(
  loaded: Pick<LoadedSegmenter, 'model' | 'segment' | 'warnings'>,
  { name, case_id, files }: VolumeFiles,
): Promise<SegmentedCase> {
  const start = performance.now()
  const segmented = await loaded.segment(files)
  const { voxels, volumes_ml, warnings } = segmented
  const encoding = maskEncoding(loaded.model.preprocess)
  return {
    segmented,
    mask: await encoding.encode(segmented.mask),
    encoding,
    prediction: {
      file: name,
      case_id,
      input_sha256: inputSha256(files),
      scores: {},
      decisions: Object.fromEntries(Object.entries(voxels).map(([label, n]) => [label, n > 0])),
      operating_points: {},
      ...(loaded.model.preprocess.distance_unit === 'px' ? { areas_px: voxels } : { volumes_ml }),
      seconds: (performance.now() - start) / 1000,
      warnings: [...loaded.warnings, ...warnings],
    },
  }
}
