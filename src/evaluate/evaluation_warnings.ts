import type { LabelEvaluation } from '../schema/evaluation.ts'
import type { Estimates } from './estimates.ts'
import { MOST_UNDEFINED } from './interval.ts'

/** Said wherever thresholds are judged on the cases that they were chosen on, and no others are known. */
export const OPTIMISTIC =
  'The operating point was chosen on these same predictions: sensitivity, specificity and what follows from them are ' +
  'optimistic. AUROC and average precision are not affected.'

/**
 * What the validation split of a run was used for besides this measurement.
 *
 * @param chose e.g. `checkpoint`, `threshold`
 * @param hasTest the split has a test part, which nothing was chosen on
 */
export function chosenHereWarning(chose: readonly string[], hasTest: boolean): string {
  return (
    `The ${chose.join(' and the ')} ${chose.length === 1 && !chose[0]!.endsWith('s') ? 'was' : 'were'} chosen on this split: ` +
    `expect less elsewhere${hasTest ? '; "fiducial evaluate <run> --split test" opens the test split' : ''}.`
  )
}

/** One line a reason for metrics shown without an interval, and one for all subgroups together. */
export function withheldWarnings(
  labels: readonly string[],
  whole: Estimates,
  parts: readonly Estimates[],
): string[] {
  const because = {
    'undefined in resamples': `undefined in more than ${100 * MOST_UNDEFINED} % of resamples; too few patients`,
    'no spread': 'every resample gives the same value, which would claim certainty',
  }
  const lines = (['undefined in resamples', 'no spread'] as const).flatMap((why) => {
    const names = whole.withheld
      .filter((entry) => entry.why === why)
      .map(({ metric, label }) => (label === null ? metric : `${metric} of ${labels[label]}`))
    return names.length === 0 ? [] : [`No interval for ${names.join(', ')}: ${because[why]}.`]
  })
  const numParts = parts.filter(({ withheld }) => withheld.length > 0).length
  if (numParts > 0)
    lines.push(
      `No interval for some metrics of ${numParts} of ${parts.length} subgroups: too few patients there.`,
    )
  return lines
}

/** Labels whose cases are all of one kind: ranking metrics do not exist for them. */
export function missingClassWarnings(perLabel: Readonly<Record<string, LabelEvaluation>>): string[] {
  return Object.entries(perLabel).flatMap(([label, { positive, negative, unknown }]) => {
    if (positive > 0 && negative > 0) return []
    const cases =
      unknown > 0
        ? `${positive + negative} labelled cases (${unknown} unknown)`
        : `${positive + negative} cases`
    if (positive + negative === 0) return [`${label}: no case has a known label, so nothing can be measured.`]
    const missing = positive === 0 ? 'positive' : 'negative'
    return [
      `${label}: none of its ${cases} is ${missing}, so AUROC is undefined and no operating point can be chosen here.`,
    ]
  })
}
