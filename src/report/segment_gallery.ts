import type { ChosenSegmentCase, SegmentCaseKind } from './choose_segment_cases.ts'
import { decimal } from './format.ts'
import { type Html, html } from './html.ts'
import { PREDICTION_COLOUR, REFERENCE_COLOUR } from './overlay.ts'

/** A case to show: outlines of its masks in one slice. */
export interface SegmentFigure extends ChosenSegmentCase {
  /** Null where the label is in neither mask. */
  per_label: Record<string, number | null>
  /** `image`: a 2D image, which is shown as its file is. */
  plane: 'axial' | 'coronal' | 'sagittal' | 'image'
  /** From 1, in the order right to left, front to back or feet to head. */
  slice: number
  numSlices: number
  /** Over the image; else over the masks alone. */
  hasImage: boolean
  png_base64: string
}

const KINDS: [SegmentCaseKind, string][] = [
  ['worst', 'Worst'],
  ['median', 'Around the median'],
  ['best', 'Best'],
]
/** Labels named under a drawing. */
const MOST_LABELS = 4

/** Outlines of masks, from the worst case to the best. */
export function segmentGallery(figures: readonly SegmentFigure[]): Html | null {
  if (figures.length === 0) return null
  const outline = (colour: readonly number[]) =>
    html`<i class="outline" style="border-color:rgb(${colour.join(',')})"></i>`
  return html`<section><h2>Outlines</h2>
<p class="soft">Ranked by the mean Dice of their labels. ${outline(REFERENCE_COLOUR)}reference ${outline(PREDICTION_COLOUR)}prediction.
${
  figures.every(({ plane }) => plane === 'image')
    ? 'Each is cut to the structures'
    : "Each is the slice in which the reference has the largest area, cut to the structures; the patient's right is on the left, in sagittal slices the front"
}${
  figures.some(({ hasImage }) => !hasImage) && '; without an image, what both masks have is grey'
}.</p>${KINDS.map(([kind, title]) => {
    const chosen = figures.filter((one) => one.kind === kind)
    return chosen.length > 0 && html`<h3>${title}</h3><div class="gallery thirds">${chosen.map(figure)}</div>`
  })}</section>`
}

function figure({ case_id, dice, per_label, plane, slice, numSlices, png_base64 }: SegmentFigure): Html {
  const labels = Object.entries(per_label)
  const shown = labels.slice(0, MOST_LABELS)
  return html`<figure><img alt="${`outlines of case ${case_id}`}" src="data:image/png;base64,${png_base64}"><figcaption><b>Dice ${decimal(dice)}</b>${
    labels.length > 1 &&
    html`<br>${shown.map(
      ([name, value], i) => html`${i > 0 && ' · '}${name} ${value === null ? 'absent' : decimal(value)}`,
    )}${labels.length > MOST_LABELS && ' · …'}`
  }<span class="id">${case_id}${plane !== 'image' && `, ${plane} slice ${slice} of ${numSlices}`}</span></figcaption></figure>`
}
