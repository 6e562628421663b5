import { encodePng } from '#raster'
import { voxelSizes } from '../imaging/geometry/affine.ts'
import { reorient } from '../imaging/geometry/orientation.ts'
import { isSameGrid } from '../imaging/geometry/same_grid.ts'
import type { Volume } from '../imaging/volume.ts'
import { type ChosenSegmentCase, chooseSegmentCases } from '../report/choose_segment_cases.ts'
import { overlay, type Slice } from '../report/overlay.ts'
import type { SegmentFigure } from '../report/segment_gallery.ts'
import type { SegmentEvaluation } from '../schema/evaluation_segment.ts'
import { firstFew } from '../sources/source_data.ts'
import type { MaskVolumes } from './read_masks.ts'
import { coloursOf, largestSlice, planeOf, sliceAxis, sliceOf } from './volume_slice.ts'

/** What a case is drawn from. An image whose grid is not that of the masks is not drawn. */
export interface CaseVolumes extends MaskVolumes {
  image: Volume | null
}

/** Longest side of a drawing, in pixels. */
const LONGEST = 440
/** A view holds this many times the structure's extent, and at least so many mm. */
const MARGIN = 1.8
const LEAST_MM = 30

/**
 * Drawings of the best, median and worst cases: the slice in which the reference has the largest area, seen as
 * radiologists see it, around the structures.
 *
 * @param open the volumes of a case, asked for one case after the other
 */
export async function segmentFigures(
  evaluation: SegmentEvaluation,
  open: (case_id: string) => Promise<CaseVolumes>,
): Promise<{ figures: SegmentFigure[]; warnings: string[] }> {
  const figures: SegmentFigure[] = []
  const misfits: string[] = []
  for (const chosen of chooseSegmentCases(evaluation)) {
    const volumes = await open(chosen.case_id)
    const fits = volumes.image === null || isSameGrid(volumes.image, volumes.reference)
    if (!fits) misfits.push(chosen.case_id)
    figures.push(await figureOf(chosen, fits ? volumes : { ...volumes, image: null }, evaluation))
  }
  const warnings =
    misfits.length === 0
      ? []
      : [
          `Drawn without their image, whose grid is not that of the masks: ${firstFew(misfits)}. No metric depends on it.`,
        ]
  return { figures, warnings }
}

async function figureOf(
  { case_id, kind, dice }: ChosenSegmentCase,
  volumes: CaseVolumes,
  { task, per_case }: SegmentEvaluation,
): Promise<SegmentFigure> {
  const isFlat = volumes.reference.distance_unit === 'px'
  // Right on the left, front at the top: the patient lies on the back and is seen from the feet. An image is as it is.
  const turned = (volume: Volume) => (isFlat ? volume : reorient(volume, 'LPS'))
  const [reference, prediction] = [turned(volumes.reference), turned(volumes.prediction)]
  const image = volumes.image && turned(volumes.image)
  const labelled = new Set(Object.values(task.labels).flat())
  const axis = sliceAxis(reference.shape, voxelSizes(reference.affine))
  const index = largestSlice([reference, prediction], axis, (value) => labelled.has(value))
  const whole: Slice = {
    ...planeOf(reference, axis),
    reference: sliceOf(reference, axis, index).map((value) => (labelled.has(value) ? value : 0)),
    prediction: sliceOf(prediction, axis, index).map((value) => (labelled.has(value) ? value : 0)),
    image: image && sliceOf(image, axis, index),
    ...(image?.channels === 3 && isFlat && { colours: coloursOf(image) }),
  }
  const drawn = overlay(aroundStructures(whole), LONGEST)
  const metrics = per_case.find((one) => one.case_id === case_id)!.per_label
  return {
    case_id,
    kind,
    dice,
    per_label: Object.fromEntries(Object.entries(metrics).map(([name, { dice }]) => [name, dice])),
    plane: isFlat ? 'image' : (['axial', 'coronal', 'sagittal'] as const)[axis],
    slice: index + 1,
    numSlices: reference.shape[axis],
    hasImage: image !== null,
    png_base64: Buffer.from(await encodePng({ ...drawn, channels: 3 })).toString('base64'),
  }
}

/** The part of a slice around what either mask has in it, as square as the slice allows. */
function aroundStructures(slice: Slice): Slice {
  const { height, width, spacing_mm, reference, prediction, image } = slice
  let [top, bottom, left, right] = [height, -1, width, -1]
  for (let r = 0, i = 0; r < height; r++)
    for (let c = 0; c < width; c++, i++) {
      if (reference[i] === 0 && prediction[i] === 0) continue
      ;[top, bottom] = [Math.min(top, r), Math.max(bottom, r)]
      ;[left, right] = [Math.min(left, c), Math.max(right, c)]
    }
  if (bottom < 0) return slice
  const extent = Math.max((bottom - top + 1) * spacing_mm[0], (right - left + 1) * spacing_mm[1])
  const side = Math.max(MARGIN * extent, LEAST_MM)
  const part = (low: number, high: number, size: number, mm: number) => {
    const length = Math.min(size, Math.ceil(side / mm))
    const start = Math.round((low + high + 1) / 2 - length / 2)
    return [Math.max(0, Math.min(start, size - length)), length] as const
  }
  const [y, rows] = part(top, bottom, height, spacing_mm[0])
  const [x, columns] = part(left, right, width, spacing_mm[1])
  const cut = (values: ArrayLike<number>) =>
    Float64Array.from(
      { length: rows * columns },
      (_, i) => values[(y + Math.floor(i / columns)) * width + x + (i % columns)]!,
    )
  return {
    height: rows,
    width: columns,
    spacing_mm,
    reference: cut(reference),
    prediction: cut(prediction),
    image: image && cut(image),
    ...(slice.colours && { colours: slice.colours.map(cut) }),
  }
}
