import type { LabelEvaluation, OperatingPoint } from '../schema/evaluation.ts'
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
 * @param test what to say of the test part, which nothing was chosen on; null when there is none
 */
export function chosenHereWarning(chose: readonly string[], test: string | null): string {
  return (
    `The ${chose.join(' and the ')} ${chose.length === 1 && !chose[0]!.endsWith('s') ? 'was' : 'were'} chosen on this split: ` +
    `expect less elsewhere${test === null ? '' : `; ${test}`}.`
  )
}

/** One line a reason for metrics shown without an interval, and one for all subgroups together. */
export function withheldWarnings(
  labels: readonly string[],
  whole: Pick<Estimates, 'withheld'>,
  parts: readonly Pick<Estimates, 'withheld'>[],
): string[] {
  const because = {
    'undefined in resamples': `undefined in more than ${100 * MOST_UNDEFINED} % of resamples; too few patients`,
    'no spread': 'every resample gives the same value, which would claim certainty',
  }
  const lines = (['undefined in resamples', 'no spread'] as const).flatMap((why) => {
    const found = whole.withheld.filter((entry) => entry.why === why)
    if (found.length === 0) return []
    const byLabel = new Map<number | null, string[]>()
    for (const { metric, label } of found)
      byLabel.set(label, [
        ...(byLabel.get(label) ?? []),
        metric.replaceAll('_', ' ').replace('auroc', 'AUROC'),
      ])
    // Labels that lack the same intervals are named together.
    const byMetrics = new Map<string, string[]>()
    for (const [label, metrics] of byLabel) {
      const names = metrics.join(', ')
      byMetrics.set(names, [...(byMetrics.get(names) ?? []), ...(label === null ? [] : [labels[label]!])])
    }
    const lacking = new Set(found.flatMap(({ label }) => (label === null ? [] : [labels[label]!])))
    const what =
      byMetrics.size <= 2
        ? [...byMetrics]
            .map(([names, of]) => (of.length === 0 ? names : `${names} of ${some(of)}`))
            .join('; ')
        : `${found.length} metrics of ${some([...lacking])}`
    return [`No interval for ${what}: ${because[why]}.`]
  })
  const numParts = parts.filter(({ withheld }) => withheld.length > 0).length
  if (numParts > 0)
    lines.push(
      `No interval for some metrics of ${numParts} of ${parts.length} subgroups: too few patients there.`,
    )
  return lines
}

/** Rules that thresholds were chosen by elsewhere and that their values here do not meet: a line a label and bound. */
export function missedRuleWarnings(
  points: Readonly<Record<string, OperatingPoint>>,
  perLabel: Readonly<Record<string, LabelEvaluation>>,
): string[] {
  return Object.entries(points).flatMap(([label, { rule, chosen_on }]) =>
    Object.entries(rule?.subject_to ?? {}).flatMap(([name, least]) => {
      const metric = perLabel[label]?.[name as 'sensitivity']
      if (!metric || metric.value === null || least === undefined || metric.value >= least) return []
      const { value, low, high } = metric
      const interval = low === null || high === null ? '' : ` (${low.toFixed(3)}–${high.toFixed(3)})`
      const where = chosen_on === 'val' ? 'validation' : chosen_on
      return [
        `${label}: the threshold was chosen on ${where} for ${name} ≥ ${least} and misses it here: ${name} ${value.toFixed(3)}${interval}.`,
      ]
    }),
  )
}

/** Labels whose cases are all of one kind: ranking metrics do not exist for them. */
export function missingClassWarnings(perLabel: Readonly<Record<string, LabelEvaluation>>): string[] {
  const lacks = (kind: 'positive' | 'negative') =>
    Object.keys(perLabel).filter((label) => {
      const { positive, negative } = perLabel[label]!
      return perLabel[label]![kind] === 0 && positive + negative > 0
    })
  const told = new Set<string>()
  const together = (['positive', 'negative'] as const).flatMap((kind) => {
    const names = lacks(kind)
    if (names.length < MANY) return []
    for (const name of names) told.add(name)
    return [
      `${names.length} labels have no ${kind} case, so their AUROC is undefined and no operating point can be chosen here: ${some(names)}.`,
    ]
  })
  const each = Object.entries(perLabel).flatMap(([label, { positive, negative, unknown }]) => {
    if ((positive > 0 && negative > 0) || told.has(label)) return []
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
  return [...together, ...each]
}

/** From so many on, labels share one line. */
const MANY = 4
const MOST_NAMED = 6

const some = (names: readonly string[]): string =>
  names.length <= MOST_NAMED
    ? names.join(', ')
    : `${names.slice(0, MOST_NAMED).join(', ')} and ${names.length - MOST_NAMED} more labels`
