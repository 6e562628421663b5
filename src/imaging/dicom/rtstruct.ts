import { apply, invert } from '../geometry/affine.ts'
import { ImageError } from '../image_error.ts'
import type { Triple } from '../volume.ts'
import { type Contour, fillEvenOdd } from './contour_fill.ts'
import type { DataSet } from './data_set.ts'
import { checkFrameOfReference } from './frame_of_reference.ts'
import { chosenStructures, type DrawnMask, MaskPainter, type MaskValues } from './mask_painter.ts'
import { parseDicom } from './parse.ts'
import type { SeriesPlan } from './series.ts'

type Series = Pick<SeriesPlan, 'slices' | 'shape' | 'affine'>

/**
 * The mask that the contours of a DICOM RT Structure Set enclose, on the grid of a series. A contour belongs to the
 * slice that it lies nearest to along the normal; several of one structure in a slice are combined by XOR, so that an
 * inner one is a hole. A voxel is inside where its centre is. Nothing is interpolated between slices.
 *
 * @param values ROI name → value in the mask; all ROIs, numbered from 1 in their order, unless given
 * @throws {ImageError} if the file is no structure set or damaged, was drawn in another frame of reference, or its
 *   contours lie between slices, several to a slice, or askew of them
 * @see DICOM PS3.3, C.8.8.5 and C.8.8.6
 */
export function readStructureSet(bytes: Uint8Array, series: Series, values?: MaskValues): DrawnMask {
  const { dataSet } = parseDicom(bytes)
  const chosen = chosenStructures(roisOf(dataSet), values, (_, index) => index + 1)
  const painter = new MaskPainter(series)
  const notes: string[] = []
  const place = placer(series)
  const [, height, width] = series.shape
  for (const { name, value, contours, frameOfReferenceUid } of chosen) {
    checkFrameOfReference(frameOfReferenceUid, series.slices, 'structure set')
    const structure = painter.begin(name, value)
    for (const [z, drawn] of contoursBySlice({ name, contours }, place, notes))
      fillEvenOdd(drawn, height, width, (y, x) => painter.paint(structure, (z * height + y) * width + x))
  }
  return painter.mask(notes)
}

interface Roi {
  name: string
  frameOfReferenceUid: string | null
  contours: DataSet[]
}

function roisOf(dataSet: DataSet): Roi[] {
  const described = dataSet.items('StructureSetROISequence')
  if (described.length === 0) {
    const modality = dataSet.string('Modality')
    throw new ImageError(
      `The DICOM file is no structure set, or one without structures${modality === null ? '' : ` (modality ${modality.slice(0, 16)})`}.`,
      'give a DICOM RT Structure Set (modality RTSTRUCT).',
    )
  }
  const contours = new Map<number, DataSet[]>()
  for (const item of dataSet.items('ROIContourSequence')) {
    const number = item.integer('ReferencedROINumber', 0)
    if (number !== null)
      for (const contour of item.items('ContourSequence')) gathered(contours, number).push(contour)
  }
  const numbers = new Set<number>()
  return described.map((item) => {
    const number = item.integer('ROINumber', 0)
    if (number === null || numbers.has(number)) throw damaged('a structure has no ROINumber of its own')
    numbers.add(number)
    return {
      name: item.string('ROIName') ?? `ROI ${number}`,
      frameOfReferenceUid: item.string('ReferencedFrameOfReferenceUID'),
      contours: contours.get(number) ?? [],
    }
  })
}

/** The list under a key, made where there is none. */
function gathered<K, V>(lists: Map<K, V[]>, key: K): V[] {
  const list = lists.get(key) ?? []
  lists.set(key, list)
  return list
}

/** From DICOM's LPS mm to indices of the series, and from a z index to mm along the normal. */
interface Placer {
  numSlices: number
  index: (x: number, y: number, z: number) => Triple
  along: (z: number) => string
}

function placer({ slices, shape, affine }: Series): Placer {
  const toIndex = invert(affine)
  const [a, b, c, d, e, f] = slices[0]!.place.orientation
  const normal = [b * f - c * e, c * d - a * f, a * e - b * d]
  const height = (position: readonly number[]) => position.reduce((sum, mm, k) => sum + mm * normal[k]!, 0)
  const [first, last] = [height(slices[0]!.place.position), height(slices.at(-1)!.place.position)]
  return {
    numSlices: shape[0],
    index: (x, y, z) => apply(toIndex, [-x, -y, z]),
    along: (z) => `${(first + (z * (last - first)) / (shape[0] - 1)).toFixed(2)} mm`,
  }
}

/** A structure's contours by the slice that they lie in. */
function contoursBySlice(
  { name, contours }: Pick<Roi, 'name' | 'contours'>,
  place: Placer,
  notes: string[],
): Map<number, Contour[]> {
  const bySlice = new Map<number, { z: number; contour: Contour }[]>()
  const leftOut = new Map<string, number>()
  const leave = (what: string) => leftOut.set(what, (leftOut.get(what) ?? 0) + 1)
  const between = new Set<number>()
  for (const [i, item] of contours.entries()) {
    const type = item.string('ContourGeometricType')
    if (type === null || !CLOSED.has(type)) {
      leave(`of type ${type?.slice(0, 16) ?? '(none)'}`)
      continue
    }
    const points = pointsOf(item, name, i)
    if (points.length < 9) {
      leave('of fewer than three points')
      continue
    }
    const { z, contour } = inSlice(points, place, `Contour ${i + 1} of ${quoted(name)}`)
    if (z <= -0.5 || z >= place.numSlices - 0.5) leave('beyond the first or last slice')
    else if (Math.abs(z - Math.round(z)) > MIDDLE) between.add(z)
    else gathered(bySlice, Math.round(z)).push({ z, contour })
  }
  refuseBetween(name, between, place)
  for (const [z, drawn] of bySlice) refuseSeveral(name, z, drawn, place)
  for (const [what, count] of leftOut)
    notes.push(`Of ${quoted(name)}, contours ${what} were left out: ${count}.`)
  return new Map([...bySlice].map(([z, drawn]) => [z, drawn.map(({ contour }) => contour)]))
}

const CLOSED: ReadonlySet<string> = new Set(['CLOSED_PLANAR', 'CLOSEDPLANAR_XOR'])
/** Of the step between slices: from here on, which of two slices a contour belongs to is anybody's guess. */
const MIDDLE = 0.499
/** Of the step: planes of one slice's contours differ by no more than rounding. */
const SAME_PLANE = 0.1
/** Of the step: how far the points of a contour may lie from its plane. */
const FLATNESS = 0.25
/** Voxels: no patient is so large. */
const FARTHEST = 1e6

function pointsOf(item: DataSet, name: string, index: number): number[] {
  const points = item.numbers('ContourData')
  const count = item.integer('NumberOfContourPoints', 0)
  if (points.length % 3 === 0 && (count === null || count === points.length / 3)) return points
  throw damaged(
    `contour ${index + 1} of ${quoted(name)} holds ${points.length} coordinates` +
      `${count === null ? '' : `, where ${count} points are claimed`}`,
  )
}

/** A contour's z, and its points in the slice. Rounded to a millionth, so that what lies on a centre stays there. */
function inSlice(points: readonly number[], place: Placer, what: string): { z: number; contour: Contour } {
  const contour = new Float64Array((points.length / 3) * 2)
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (let i = 0; i < points.length; i += 3) {
    const [z, y, x] = place.index(points[i]!, points[i + 1]!, points[i + 2]!)
    if (!(Math.max(Math.abs(z), Math.abs(y), Math.abs(x)) < FARTHEST))
      throw damaged(`a point of ${what} lies ${points.slice(i, i + 3).join(', ')} mm from the origin`)
    contour[(i / 3) * 2] = Math.round(y * 1e6) / 1e6
    contour[(i / 3) * 2 + 1] = Math.round(x * 1e6) / 1e6
    least = Math.min(least, z)
    most = Math.max(most, z)
  }
  if (most - least > 2 * FLATNESS)
    throw new ImageError(
      `${what} does not lie in the plane of a slice: it reaches from ${place.along(least)} to ${place.along(most)} along their normal.`,
      'give the series that the structures were drawn on, or export them as contours on its slices.',
    )
  return { z: (least + most) / 2, contour }
}

function refuseBetween(name: string, between: ReadonlySet<number>, place: Placer): void {
  if (between.size === 0) return
  const [z] = [...between]
  throw elsewhere(
    `Contours of ${quoted(name)} lie halfway between slices: at ${shortened([...between].map(place.along))}; ` +
      `the slices next to the first are at ${place.along(Math.floor(z!))} and ${place.along(Math.ceil(z!))}.`,
  )
}

/** Contours of a finer series would be combined by XOR if two of their planes fell into one slice. */
function refuseSeveral(name: string, slice: number, drawn: readonly { z: number }[], place: Placer): void {
  const heights = [...new Set(drawn.map(({ z }) => z))].sort((a, b) => a - b)
  if (heights.at(-1)! - heights[0]! <= SAME_PLANE) return
  throw elsewhere(
    `Contours of ${quoted(name)} lie in several planes, at ${shortened(heights.map(place.along))}, that are all ` +
      `nearest to the slice at ${place.along(slice)}.`,
  )
}

function shortened(items: readonly string[]): string {
  return items.length <= 8 ? items.join(', ') : `${items.slice(0, 8).join(', ')} and ${items.length - 8} more`
}

const quoted = (name: string) => JSON.stringify(name.slice(0, 64))

function elsewhere(reason: string): ImageError {
  return new ImageError(
    reason,
    'give the series that the structures were drawn on; contours are not interpolated.',
  )
}

function damaged(what: string): ImageError {
  return new ImageError(
    `The DICOM structure set is damaged or was written wrongly: ${what}.`,
    'export it again, or leave it out.',
  )
}
