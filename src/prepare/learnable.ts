import type { Labels, SplitPart } from '../schema/case.ts'
import { UserError } from '../schema/errors.ts'
import { labelNames, type Task } from '../schema/task.ts'

/**
 * Labels of which the training part holds positives only, negatives only, or no known value: nothing tells them apart.
 * A structure needs no case without it, as every mask has background.
 */
export function unlearnableLabels(
  cases: readonly { labels: Labels }[],
  parts: readonly (SplitPart | null)[],
  task: Task,
): string[] {
  const training = cases.filter((_, i) => parts[i] === 'train')
  return labelNames(task).filter((label) => {
    const has = (value: 0 | 1) => training.some((one) => one.labels[label] === value)
    return !(has(1) && (has(0) || task.kind === 'segment'))
  })
}

/**
 * Stops a training that could learn nothing at all.
 *
 * @param unlearnable labels of which the training part lacks a class
 * @throws {UserError} when those are all labels
 */
export function refuseUnlearnable(unlearnable: readonly string[], task: Task): void {
  const labels = labelNames(task)
  if (unlearnable.length < labels.length) return
  const which =
    labels.length === 1
      ? `"${labels[0]}"`
      : `each of ${labels.length} labels (${labels.slice(0, 5).join(', ')})`
  if (task.kind === 'segment')
    throw new UserError(
      `No mask of the training split holds ${which}: nothing can be learnt.\n` +
        '  do: check the values in task against the masks; "fiducial inspect" counts them.',
    )
  throw new UserError(
    `The training split holds one class only of ${which}: nothing can be learnt.\n` +
      '  do: check task.labels, data.source (which values or folders mean "none of the labels") and data.split; ' +
      '"fiducial inspect" counts the labels of each part.',
  )
}

/** What is said again when a training ends, lest it has scrolled away. */
export function describeUnlearnable(unlearnable: readonly string[]): string | null {
  if (unlearnable.length === 0) return null
  const shown = unlearnable.slice(0, 5).map((label) => `"${label}"`)
  const more = unlearnable.length > shown.length ? ` and ${unlearnable.length - shown.length} more` : ''
  return `The training split held one class only of ${shown.join(', ')}${more}: scores of that mean nothing.`
}
