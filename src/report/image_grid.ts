import type { Labels } from '../schema/case.ts'
import type { Evaluation } from '../schema/evaluation.ts'
import type { CaseKind } from './choose_cases.ts'
import { type Html, html } from './html.ts'

/** A case to show: its image as the network saw it, what is true and what was predicted. */
export interface ReportImage {
  case_id: string
  /** The label that it was chosen for; for multi-class the true one. */
  label: string
  kind: CaseKind
  png_base64: string
  truth: Labels
  scores: Record<string, number>
}

const KINDS: [CaseKind, string][] = [
  ['right', 'Most confident and right'],
  ['wrong', 'Most confident and wrong'],
  ['near', 'Nearest to the decision'],
]

/** Images with truth and prediction under each, by label and kind. */
export function imageGrid(images: readonly ReportImage[], evaluation: Evaluation): Html | null {
  if (images.length === 0) return null
  const { exclusive, labels } = evaluation.task
  const shown = exclusive ? [''] : labels.filter((label) => images.some((image) => image.label === label))
  return html`<section><h2>Cases</h2>
<p class="soft">As the network saw them. At most a few of each kind, one a patient.${
    shown.length < labels.length && !exclusive && ` For ${shown.length} of ${labels.length} labels.`
  }</p>${shown.map((label) =>
    KINDS.map(([kind, title]) => {
      const chosen = images.filter((image) => image.kind === kind && (exclusive || image.label === label))
      if (chosen.length === 0) return null
      const name = shown.length > 1 ? `${label}: ${title.toLowerCase()}` : title
      return html`<h3>${name}</h3><div class="gallery">${chosen.map((image) => figure(image, evaluation))}</div>`
    }),
  )}</section>`
}

function figure(image: ReportImage, evaluation: Evaluation): Html {
  const { truth, predicted, isRight } = words(image, evaluation)
  const verdict = image.kind === 'near' ? 'near' : isRight ? 'right' : 'wrong'
  return html`<figure><img alt="${`case ${image.case_id}`}" src="data:image/png;base64,${image.png_base64}"><figcaption>truth <b>${truth}</b><br>predicted <span class="${verdict}">${predicted}</span><span class="id">${image.case_id}</span></figcaption></figure>`
}

function words(
  { label, truth, scores }: ReportImage,
  { task, operating_points }: Evaluation,
): { truth: string; predicted: string; isRight: boolean } {
  if (task.exclusive) {
    const called = task.labels.reduce((best, name) => (scores[name]! > scores[best]! ? name : best))
    return { truth: label, predicted: `${called} ${scores[called]!.toFixed(2)}`, isRight: called === label }
  }
  const threshold = operating_points[label]?.threshold ?? Number.NaN
  const isCalled = scores[label]! >= threshold
  const isPresent = truth[label] === 1
  return {
    truth: `${label} ${isPresent ? 'present' : 'absent'}`,
    predicted: `${isCalled ? 'present' : 'absent'}, score ${apartFrom(threshold, scores[label]!)}`,
    isRight: isCalled === isPresent,
  }
}

/** A score with three decimals, or as many more as show on which side of the threshold it lies. */
function apartFrom(threshold: number, score: number): string {
  let digits = 3
  while (digits < 9 && score.toFixed(digits) === threshold.toFixed(digits)) digits++
  return score.toFixed(digits)
}
