import type { Attributes, Labels } from '../schema/case.ts'
import type { Prediction } from '../schema/prediction.ts'

/** The attribute that says which study an image belongs to, where studies are what is evaluated. */
export const STUDY_ATTRIBUTE = 'study'

/**
 * One prediction a study from those of its images, in the order in which studies first come: scores combined label by
 * label; a label present if it is in some image, absent if it is in none, unknown otherwise; attributes that all images
 * share, the others null. Images without a study stay by themselves. Logits are left out, as combined ones would mean
 * nothing.
 *
 * @param aggregate how scores are combined; the mean of scores that sum to 1 sums to 1, their maximum does not
 */
export function byStudy(predictions: readonly Prediction[], aggregate: 'mean' | 'max'): Prediction[] {
  const groups = Map.groupBy(predictions, ({ case_id, attributes }) => attributes[STUDY_ATTRIBUTE] ?? case_id)
  return [...groups].map(([study, images]): Prediction => {
    const first = images[0]!
    const shared = Object.entries(first.attributes).map(([key, value]) => [
      key,
      images.every((image) => image.attributes[key] === value) ? value : null,
    ])
    return {
      case_id: String(study),
      patient_id: first.patient_id,
      labels: mapped(first.labels, (label) =>
        combinedLabel(images.map((image) => image.labels[label] ?? null)),
      ),
      logits: {},
      scores: mapped(first.scores, (label) =>
        combine(
          images.map((image) => image.scores[label]!),
          aggregate,
        ),
      ),
      attributes: Object.fromEntries(shared) as Attributes,
    }
  })
}

function combine(scores: readonly number[], aggregate: 'mean' | 'max'): number {
  return aggregate === 'max'
    ? Math.max(...scores)
    : scores.reduce((sum, score) => sum + score, 0) / scores.length
}

function combinedLabel(values: readonly LabelOfImage[]): LabelOfImage {
  if (values.includes(1)) return 1
  return values.includes(null) ? null : 0
}

type LabelOfImage = Labels[string]

function mapped<T>(values: Readonly<Record<string, T>>, of: (key: string) => T): Record<string, T> {
  return Object.fromEntries(Object.keys(values).map((key) => [key, of(key)]))
}
