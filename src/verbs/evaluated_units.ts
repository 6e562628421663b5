import { byStudy } from '../evaluate/by_study.ts'
import type { DataConfig } from '../schema/data.ts'
import type { Prediction } from '../schema/prediction.ts'

/** What a recipe has measured, from predictions of images: these, or those of their studies. */
export function evaluatedUnits(
  { source }: Pick<DataConfig, 'source'>,
  predictions: readonly Prediction[],
): { predictions: readonly Prediction[]; warnings: string[] } {
  if (source.kind !== 'dicom' || source.unit !== 'study') return { predictions, warnings: [] }
  const studies = byStudy(predictions, source.aggregate)
  const combined = source.aggregate === 'mean' ? 'mean' : 'maximum'
  return {
    predictions: studies,
    warnings: [
      `Measured by study: ${studies.length} studies, each with the ${combined} of the scores of its images (${predictions.length}). ` +
        'Operating points hold for that score; "predict" scores images one by one, and theirs have to be combined so before a threshold applies.',
    ],
  }
}
