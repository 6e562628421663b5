import { orientedGrid } from '../imaging/geometry/orientation.ts'
import type { StoredTensor } from '../imaging/preprocess.ts'
import type { StoredVolume } from '../imaging/preprocess_volume.ts'
import type { ModelPackage } from '../schema/model_package.ts'
import type { ImageFingerprint, VolumeFingerprint } from '../schema/shard_set.ts'

/**
 * What a reader of the score should know about this input: it differs from what the model was trained on, or it
 * holds no picture at all. Warnings never change a score.
 */
export function inputWarnings(
  stored: StoredTensor | StoredVolume,
  { preprocess, fingerprint }: Pick<ModelPackage, 'preprocess' | 'fingerprint'>,
): string[] {
  const warnings: string[] = []
  const first = stored.data[0]
  const isFlat = stored.data.every((value) => value === first)
  if ('onStoredGrid' in stored) {
    if (isFlat) warnings.push('All voxels of the volume have one value; its score means nothing.')
    if (fingerprint?.kind === 'volumes' && preprocess.kind === 'volume')
      warnings.push(...volumeWarnings(stored, preprocess.orientation, fingerprint))
    return warnings
  }
  if (isFlat) warnings.push('The image is one flat colour; its score means nothing.')
  if (fingerprint?.kind === 'images') warnings.push(...imageWarnings(stored, fingerprint))
  return warnings
}

const outside = (value: number, range: { min: number; max: number }) =>
  value < range.min / 2 || value > range.max * 2

/** Of the source, turned as it is stored: what is stored has the same size whatever the files are like. */
function volumeWarnings(
  { source, format }: StoredVolume,
  orientation: string,
  seen: VolumeFingerprint,
): string[] {
  const warnings: string[] = []
  const { shape } = orientedGrid(source, orientation)
  if (shape.some((n, k) => outside(n, seen.source_shape[k]!)))
    warnings.push(
      `The volume has ${shape.join(' × ')} voxels (z, y, x, turned to ${orientation}); training volumes had ` +
        `${seen.source_shape.map(({ min, max }) => `${min} to ${max}`).join(', ')}.`,
    )
  const trained = Object.keys(seen.source_formats)
  if (trained.length > 0 && !trained.includes(format))
    warnings.push(`The volume is ${format}; training volumes were ${trained.join(', ')}.`)
  return warnings
}

function imageWarnings(stored: StoredTensor, seen: ImageFingerprint): string[] {
  const warnings: string[] = []
  const { height, width } = stored.source
  if (outside(height, seen.source_height) || outside(width, seen.source_width))
    warnings.push(
      `The image has ${height} x ${width} pixels; training images had ${seen.source_height.min} to ` +
        `${seen.source_height.max} rows and ${seen.source_width.min} to ${seen.source_width.max} columns.`,
    )
  const format = stored.source.format
  const trained = [...new Set(Object.keys(seen.source_formats).map((name) => name.split('/')[0]!))]
  if (trained.length > 0 && !trained.includes(format))
    warnings.push(`The image is ${format}; training images were ${trained.join(', ')}.`)
  return warnings
}
