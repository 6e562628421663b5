import type { StoredVolume } from '../imaging/preprocess_volume.ts'
import { isRasterFormat } from '../imaging/signature.ts'
import type { SegmentPackage } from '../schema/segment_package.ts'

/**
 * What a reader of the mask should know about this volume: it differs from what the model was trained on, or it holds
 * nothing. Warnings never change a mask.
 */
export function volumeWarnings(
  { data, shape, format, notes }: Pick<StoredVolume, 'data' | 'shape' | 'format' | 'notes'>,
  { fingerprint }: Pick<SegmentPackage, 'fingerprint'>,
): string[] {
  const warnings = [...notes]
  const first = data[0]
  const isFlat = isRasterFormat(format)
  const noun = isFlat ? 'image' : 'volume'
  if (data.every((value) => value === first))
    warnings.push(
      `All ${isFlat ? 'pixels' : 'voxels'} of the ${noun} have one value; its mask means nothing.`,
    )
  if (fingerprint === null) return warnings
  const size = shape.slice(1)
  const seen = fingerprint.stored_shape
  // On the stored grid axes and spacing are those of training, whatever the files are like.
  const shown = <T>(axes: readonly T[]) => axes.slice(isFlat ? 1 : 0)
  const isOutside = size.some((n, k) => n < seen[k]!.min / 2 || n > seen[k]!.max * 2)
  if (isOutside)
    warnings.push(
      `The ${noun} has ${shown(size).join(' × ')} ${isFlat ? 'pixels (y, x)' : 'voxels (z, y, x)'} as the model sees it; training ${noun}s had ` +
        `${shown(seen)
          .map(({ min, max }) => `${min} to ${max}`)
          .join(', ')}.`,
    )
  const trained = Object.keys(fingerprint.source_formats)
  if (trained.length > 0 && !trained.includes(format))
    warnings.push(`The ${noun} is ${format}; training ${noun}s were ${trained.join(', ')}.`)
  return warnings
}
