import type { StoredTensor } from '../imaging/preprocess.ts'
import type { ModelPackage } from '../schema/model_package.ts'

/**
 * What a reader of the score should know about this input: it differs from what the model was trained on, or it
 * holds no picture at all. Warnings never change a score.
 */
export function inputWarnings(stored: StoredTensor, model: ModelPackage): string[] {
  const warnings: string[] = []
  const first = stored.data[0]
  if (stored.data.every((value) => value === first))
    warnings.push('The image is one flat colour; its score means nothing.')
  const seen = model.fingerprint
  if (!seen) return warnings
  const { height, width } = stored.source
  const outside = (value: number, range: { min: number; max: number }) =>
    value < range.min / 2 || value > range.max * 2
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
