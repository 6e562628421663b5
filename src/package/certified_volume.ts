import type { StoredVolume } from '../imaging/preprocess_volume.ts'
import type { Triple } from '../imaging/volume.ts'
import type { CertifiedVolume } from '../schema/certified_volume.ts'
import type { SegmentPackage } from '../schema/segment_package.ts'
import { tensorSha256 } from './golden_volume.ts'
import { inputSha256 } from './input_sha256.ts'
import { fewestDiffering, summarizeMask } from './mask_summary.ts'

/** What a certificate keeps of a real case: hashes of what went in, measures of the mask that came out. */
export function certifiedVolume(
  files: readonly Uint8Array[],
  stored: Pick<StoredVolume, 'data'>,
  mask: { data: Uint8Array; shape: Triple },
  { task }: Pick<SegmentPackage, 'task'>,
): CertifiedVolume {
  return {
    files_sha256: inputSha256(files),
    num_files: files.length,
    tensor_sha256: tensorSha256(stored.data),
    shape: [...mask.shape],
    structures: summarizeMask(mask, task.structures),
  }
}

/**
 * The largest share of a structure's voxels in which two masks of a case must differ at least.
 *
 * @param leastVoxels smaller structures count as so large
 * @returns 1 for masks of other shapes or structures
 */
export function leastShareDiffering(
  found: CertifiedVolume,
  recorded: CertifiedVolume,
  leastVoxels: number,
): number {
  const names = Object.keys(found.structures)
  const isAlike =
    found.shape.every((side, axis) => side === recorded.shape[axis]) &&
    names.every((name) => Object.hasOwn(recorded.structures, name))
  if (!isAlike) return 1
  return Math.max(
    ...names.map((name) => {
      const [a, b] = [found.structures[name]!, recorded.structures[name]!]
      return fewestDiffering(a, b) / Math.max(a.voxels, b.voxels, leastVoxels)
    }),
  )
}
