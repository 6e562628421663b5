import { ImageError } from '../image_error.ts'
import type { Affine, Triple, Volume } from '../volume.ts'
import { decodePixels } from './decode_pixels.ts'
import type { DicomInstance, FramePlace, ImageFacts } from './instance.ts'
import { VolumeWriter } from './volume_writer.ts'

/** Where the z-th slice of a volume comes from. */
export interface SeriesSlice {
  instance: DicomInstance
  /** Counted from 0, within its instance. */
  frame: number
  place: PlacedFrame
  /** For a person: instance number, frame where there are several, and position along the normal. */
  name: string
}

/** A frame whose place in the patient is complete. */
export type PlacedFrame = FramePlace & {
  position: NonNullable<FramePlace['position']>
  orientation: NonNullable<FramePlace['orientation']>
  spacing: NonNullable<FramePlace['spacing']>
}

/** How a series becomes a volume, by its headers alone. */
export interface SeriesPlan {
  /** In order of z. */
  slices: SeriesSlice[]
  shape: Triple
  /** (z, y, x) to world mm, RAS+. */
  affine: Affine
}

/** A volume, and its slices' origins: what a segmentation of it has to point at. */
export interface SeriesVolume extends SeriesPlan {
  volume: Volume
}

/**
 * The volume of one series: every frame of every instance is a slice, put in order along the slices' normal, its
 * values through its own modality transform. Int16 where that is exact, else Float32.
 *
 * @param instances all of one SeriesInstanceUID, in any order
 * @throws {ImageError} if they don't make one regular grid, naming the slices that stand in the way (see `planSeries`),
 *   or if pixels cannot be decoded
 */
export async function seriesToVolume(instances: readonly DicomInstance[]): Promise<SeriesVolume> {
  const plan = planSeries(instances)
  const [depth, height, width] = plan.shape
  const writer = new VolumeWriter(depth, height * width)
  const byInstance = Map.groupBy(
    plan.slices.map((slice, z) => ({ ...slice, z })),
    ({ instance }) => instance,
  )
  for (const [instance, slices] of byInstance) {
    const { data, format } = await decodePixels(instance.file, { unusedBits: 'kept' })
    for (const { frame, z, place } of slices)
      writer.write(
        z,
        data.subarray(frame * height * width, (frame + 1) * height * width),
        place.modality,
        format,
      )
  }
  return { ...plan, volume: { data: writer.data, channels: 1, shape: plan.shape, affine: plan.affine } }
}

/**
 * The order, shape and affine of a series' volume.
 *
 * @throws {ImageError} if an instance holds no pixels, is a localizer or in colour; if sizes, orientations or pixel
 *   spacings are mixed or missing; if there is only one slice; if slices lie at the same place, askew of their normal
 *   (gantry tilt), unevenly, or if some are missing between others
 */
export function planSeries(instances: readonly DicomInstance[]): SeriesPlan {
  const slices = placed(instances)
  const { rows, columns } = slices[0]!.instance.image as ImageFacts
  const { orientation, spacing } = slices[0]!.place
  const along = (slice: SeriesSlice) => dot(slice.place.position, normalOf(orientation))
  const ordered = slices.sort((a, b) => along(a) - along(b))
  for (const slice of ordered) slice.name += ` (${along(slice).toFixed(2)} mm)`
  if (ordered.length < 2)
    throw refused(`The series has a single slice, ${ordered[0]!.name}, which makes no volume.`, ALONE)
  checkTilt(ordered, orientation, spacing)
  checkGaps(ordered, ordered.map(along))
  return { slices: ordered, shape: [ordered.length, rows, columns], affine: affineOf(ordered) }
}

const ALONE =
  'give all instances of the series. A single image is classified as it is, and segmented as a 16-bit PNG of it.'

/** Every frame with its place; all of one kind. */
function placed(instances: readonly DicomInstance[]): SeriesSlice[] {
  if (instances.length === 0) throw refused('The series has no instance.', 'give its files.')
  const candidates = instances.flatMap(framesOf)
  const bad = (is: (slice: Candidate) => boolean) => candidates.filter(is)
  refuse(
    bad(({ image }) => image === null),
    'hold no pixels',
    'leave them out of the series.',
  )
  refuse(
    bad(({ instance }) => instance.imageType[2] === 'LOCALIZER'),
    'are localizers',
    'leave them out of the series.',
  )
  refuse(
    bad(({ image }) => !image!.photometric.startsWith('MONOCHROME')),
    'are not grey (MONOCHROME1 or MONOCHROME2)',
    'leave out the series; volumes are read from grey images.',
  )
  refuseMixed(candidates, 'sizes', ({ image }) => `${image!.rows}×${image!.columns}`)
  refuse(
    bad(({ place }) => place?.position == null),
    'have no ImagePositionPatient',
    INCOMPLETE,
  )
  refuse(
    bad(({ place }) => place?.orientation == null),
    'have no ImageOrientationPatient',
    INCOMPLETE,
  )
  refuse(
    bad(({ place }) => place?.spacingFrom !== 'PixelSpacing'),
    'have no PixelSpacing',
    INCOMPLETE,
  )
  refuse(
    bad(({ place }) => !isRightAngled(place!.orientation!)),
    'have an ImageOrientationPatient that is not two unit vectors at a right angle',
    INCOMPLETE,
  )
  const first = candidates[0]!.place!
  refuseMixed(candidates, 'orientations', ({ place }) =>
    isClose(place!.orientation!, first.orientation!, ANGLE_TOLERANCE)
      ? first.orientation!.join('\\')
      : place!.orientation!.join('\\'),
  )
  refuseMixed(candidates, 'pixel spacings', ({ place }) =>
    isClose(place!.spacing!, first.spacing!, first.spacing![0] * 1e-3)
      ? `${first.spacing!.join('×')} mm`
      : `${place!.spacing!.join('×')} mm`,
  )
  return candidates.map(({ instance, frame, place, name }) => ({
    ...{ instance, frame, name },
    place: place as PlacedFrame,
  }))
}

interface Candidate {
  instance: DicomInstance
  image: ImageFacts | null
  place: FramePlace | null
  frame: number
  name: string
}

function framesOf(instance: DicomInstance, index: number): Candidate[] {
  const { image, instanceNumber } = instance
  const name =
    instanceNumber === null ? `instance without number (file ${index + 1})` : `instance ${instanceNumber}`
  if (image === null) return [{ instance, image, place: null, frame: 0, name }]
  return Array.from({ length: image.numFrames }, (_, frame) => ({
    ...{ instance, image, frame },
    place: image.frames[frame] ?? image.frames[0]!,
    name: image.numFrames === 1 ? name : `${name} frame ${frame + 1}`,
  }))
}

const INCOMPLETE = 'give the original files: without it, slices cannot be put in their place in the patient.'

function isRightAngled(orientation: PlacedFrame['orientation']): boolean {
  const [row, column] = [orientation.slice(0, 3), orientation.slice(3)]
  return (
    Math.abs(dot(row, row) - 1) < ANGLE_TOLERANCE &&
    Math.abs(dot(column, column) - 1) < ANGLE_TOLERANCE &&
    Math.abs(dot(row, column)) < ANGLE_TOLERANCE
  )
}

/** Of direction cosines, as they are rounded in files: 0.1 mm at the edge of a field of view of 200 mm. */
const ANGLE_TOLERANCE = 1e-3

function isClose(a: readonly number[], b: readonly number[], tolerance: number): boolean {
  return a.every((value, i) => Math.abs(value - b[i]!) <= tolerance)
}

/** Every slice has to lie on the line through the first along the normal, within a tenth of a pixel. */
function checkTilt(
  slices: readonly SeriesSlice[],
  orientation: PlacedFrame['orientation'],
  spacing: PlacedFrame['spacing'],
): void {
  const normal = normalOf(orientation)
  const start = slices[0]!.place.position
  const shifts = slices.map(({ place }) => {
    const offset = minus(place.position, start)
    const height = dot(offset, normal)
    return {
      height,
      drift: Math.hypot(
        ...minus(
          offset,
          normal.map((n) => n * height),
        ),
      ),
    }
  })
  const tolerance = 0.1 * Math.min(...spacing)
  const off = slices.filter((_, i) => shifts[i]!.drift > tolerance)
  if (off.length === 0) return
  const last = shifts.at(-1)!
  const angle = (Math.atan2(last.drift, last.height) * 180) / Math.PI
  throw refused(
    `The slices are shifted against each other within their planes, by ${last.drift.toFixed(2)} mm over ` +
      `${last.height.toFixed(2)} mm (${angle.toFixed(1)} degrees): the gantry was tilted, or positions are wrong. ` +
      `Shifted against ${slices[0]!.name}: ${listed(off)}.`,
    'resample the series to an upright grid first (dcm2niix does), or leave it out.',
  )
}

/** Distances of neighbours along the normal have to agree. */
function checkGaps(slices: readonly SeriesSlice[], heights: readonly number[]): void {
  const gaps = heights.slice(1).map((height, i) => height - heights[i]!)
  const usual = gaps.toSorted((a, b) => a - b)[Math.floor(gaps.length / 2)]!
  const pair = (i: number) => `${slices[i]!.name} and ${slices[i + 1]!.name}`
  const where = (is: (gap: number) => boolean) => gaps.flatMap((gap, i) => (is(gap) ? [i] : []))
  const duplicates = where((gap) => gap < Math.max(1e-3, usual * 0.01))
  if (duplicates.length > 0)
    throw refused(
      `Slices lie at the same place: ${shortened(duplicates.map(pair))}.`,
      'leave one of each out; if the series holds several times, echoes or b-values, give one of them.',
    )
  const missing = where((gap) => gap > usual * 1.5)
  if (missing.length > 0)
    throw refused(
      `Slices are missing: neighbours are ${usual.toFixed(2)} mm apart, but there are ` +
        `${shortened(missing.map((i) => `${gaps[i]!.toFixed(2)} mm between ${pair(i)}`))}.`,
      'copy the series again; if slices were never taken there, leave it out.',
    )
  // Held against even steps from first to last, so that positions rounded in files pass and drift does not.
  const step = (heights.at(-1)! - heights[0]!) / gaps.length
  const uneven = heights.flatMap((height, i) =>
    Math.abs(height - heights[0]! - i * step) > EVENNESS * step ? [i] : [],
  )
  if (uneven.length === 0) return
  const [least, most] = [Math.min(...gaps), Math.max(...gaps)]
  throw refused(
    `The slices are unevenly spaced: ${least.toFixed(2)} to ${most.toFixed(2)} mm apart. Off even steps of ` +
      `${step.toFixed(2)} mm: ${listed(uneven.map((i) => slices[i]!))}.`,
    'resample the series to even steps first, or leave it out.',
  )
}

/** A slice may lie this part of a step beside its place. */
const EVENNESS = 0.05

/**
 * Index (z, y, x) to world. DICOM's x grows towards the patient's left and its y towards the back, so both change
 * their sign; the step between slices is the mean one, from first to last.
 *
 * @see DICOM PS3.3, C.7.6.2.1.1
 */
function affineOf(slices: readonly SeriesSlice[]): Affine {
  const { position, orientation, spacing } = slices[0]!.place
  const step = minus(slices.at(-1)!.place.position, position).map((mm) => mm / (slices.length - 1))
  const row = (axis: 0 | 1 | 2) => {
    const sign = axis === 2 ? 1 : -1
    return [
      step[axis]!,
      orientation[axis + 3]! * spacing[0],
      orientation[axis]! * spacing[1],
      position[axis],
    ].map((value) => sign * value || 0)
  }
  return [...row(0), ...row(1), ...row(2), 0, 0, 0, 1]
}

/** Row direction × column direction. */
function normalOf([a, b, c, d, e, f]: PlacedFrame['orientation']): number[] {
  return [b * f - c * e, c * d - a * f, a * e - b * d]
}

const dot = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, value, i) => sum + value * b[i]!, 0)
const minus = (a: readonly number[], b: readonly number[]) => a.map((value, i) => value - b[i]!)

function refuse(bad: readonly Candidate[], what: string, advice: string): void {
  if (bad.length > 0) throw refused(`Of the series, ${listed(bad)} ${what}.`, advice)
}

/** All slices have to be of one kind; the rarer kinds are named. */
function refuseMixed(slices: readonly Candidate[], what: string, kindOf: (slice: Candidate) => string): void {
  const kinds = [...Map.groupBy(slices, kindOf)].sort((a, b) => b[1].length - a[1].length)
  if (kinds.length === 1) return
  const [[usual, most], ...others] = kinds as [[string, Candidate[]], ...[string, Candidate[]][]]
  throw refused(
    `The series mixes ${what}: ${usual} in ${most.length} slices, but ` +
      `${others.map(([kind, some]) => `${kind} in ${listed(some)}`).join('; ')}.`,
    'split it into series of one kind, or leave the odd slices out.',
  )
}

function listed(slices: readonly { name: string }[]): string {
  return shortened(slices.map(({ name }) => name))
}

/** The first few, and how many more. */
function shortened(items: readonly string[]): string {
  const shown = items.slice(0, MOST_NAMED).join(', ')
  return items.length <= MOST_NAMED ? shown : `${shown} and ${items.length - MOST_NAMED} more`
}

const MOST_NAMED = 8

function refused(reason: string, advice: string): ImageError {
  return new ImageError(reason, advice)
}
