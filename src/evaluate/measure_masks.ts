import type { StructureMetrics } from '../schema/evaluation_segment.ts'
import { type MaskCodes, maskCodes } from './mask_codes.ts'
import { MetricError } from './metric_error.ts'
import type { Box } from './surface.ts'
import { hausdorffDistance, surfaceDice, surfaceDistances } from './surface_distance.ts'
import { contourLengths, surfelAreas } from './surfel_area.ts'

type Triple = readonly [number, number, number]

/** A predicted and a reference mask on the same grid. */
export interface MaskPair {
  /** [Z, Y, X], x fastest; whole numbers of any stored type. */
  prediction: ArrayLike<number>
  reference: ArrayLike<number>
  /** [z, y, x] */
  shape: Triple
  spacing_mm: Triple
}

/** What one case's masks say of each structure. */
export interface MeasuredMasks {
  per_label: Record<string, StructureMetrics>
  /** Values that belong to no label, background (0) aside. */
  unlisted: { reference: number[]; prediction: number[] }
}

/**
 * Dice, surface Dice, HD95 and volume error of each structure of a case.
 *
 * - `dice`: 2 |R ∩ P| / (|R| + |P|), of voxels.
 * - `surface_dice`, `hd95_mm`: of surfaces weighted by area, as in `surfaceDistances`. Where the image has one slice,
 *   of contours weighted by length.
 * - `volume_error_ml`: P − R, `volume_error_relative`: (P − R) / R.
 *
 * Where a structure is empty, following Metrics Reloaded (Maier-Hein et al., Nature Methods 21 (2024) 195–212): metrics
 * do not exist there, and what stands in for them depends on which mask is empty. One of the two: the worst value that
 * there is, 0 for overlap and the image's diagonal for a distance, so that leaving out a structure is never rewarded.
 * Both: every metric is null and the case counts as `correctly_absent`, apart from the means. The consortium's library
 * puts the best value there instead, by which a mean would rise with every case that has nothing to be found.
 *
 * @param labels name → the voxel values that belong to it; a region such as a whole tumour has several, and labels may
 *   share values. Null: each value of either mask is a label, named by its number
 * @throws {MetricError} for masks that are not of whole numbers or not of this shape
 */
export function measureMasks(
  pair: MaskPair,
  labels: Readonly<Record<string, readonly number[]>> | null,
  surface_tolerance_mm: number,
): MeasuredMasks {
  const { shape, spacing_mm } = flattened(pair)
  if (!spacing_mm.every((mm) => mm > 0 && mm < Number.POSITIVE_INFINITY))
    throw new MetricError(`The spacing is ${spacing_mm.join(' × ')} mm; three positive lengths are needed.`)
  const masks = maskCodes(pair.reference, pair.prediction, shape)
  const areas = shape[0] === 1 ? contourLengths([spacing_mm[1], spacing_mm[2]]) : surfelAreas(spacing_mm)
  const named = labels ?? Object.fromEntries(masks.values.map((value) => [String(value), [value]]))
  const measure = (values: readonly number[]) =>
    measureStructure({ ...masks, spacing_mm, areas }, values, surface_tolerance_mm)
  return {
    per_label: Object.fromEntries(Object.entries(named).map(([name, values]) => [name, measure(values)])),
    unlisted: unlistedValues(masks, new Set(Object.values(named).flat())),
  }
}

/** A structure that is in neither mask. */
export const ABSENT: StructureMetrics = {
  outcome: 'correctly_absent',
  reference_ml: 0,
  prediction_ml: 0,
  dice: null,
  surface_dice: null,
  hd95_mm: null,
  volume_error_ml: null,
  volume_error_relative: null,
}

/** One slice along any axis is a flat image: its slice axis is put first. */
function flattened({ shape, spacing_mm }: MaskPair): { shape: Triple; spacing_mm: Triple } {
  const axis = shape.indexOf(1)
  if (axis <= 0) return { shape, spacing_mm }
  const first = (of: Triple): Triple => (axis === 1 ? [of[1], of[0], of[2]] : [of[2], of[0], of[1]])
  return { shape: first(shape), spacing_mm: first(spacing_mm) }
}

function measureStructure(
  masks: MaskCodes & { spacing_mm: Triple; areas: Float64Array },
  values: readonly number[],
  tolerance_mm: number,
): StructureMetrics {
  const { shape, spacing_mm } = masks
  const isMember = new Uint8Array(256)
  for (const [i, value] of masks.values.entries()) if (values.includes(value)) isMember[i + 1] = 1
  const { both, reference, prediction } = overlap(masks, isMember)
  if (reference === 0 && prediction === 0) return ABSENT
  const voxel_ml = (spacing_mm[0] * spacing_mm[1] * spacing_mm[2]) / 1000
  const volumes = {
    reference_ml: reference * voxel_ml,
    prediction_ml: prediction * voxel_ml,
    volume_error_ml: (prediction - reference) * voxel_ml,
    volume_error_relative: reference === 0 ? null : (prediction - reference) / reference,
  }
  if (reference === 0 || prediction === 0)
    return {
      outcome: reference === 0 ? 'falsely_present' : 'missed',
      ...volumes,
      dice: 0,
      surface_dice: 0,
      hd95_mm: Math.hypot(...shape.map((n, axis) => n * spacing_mm[axis]!)),
    }
  const distances = surfaceDistances(masks, isMember, unionOf(masks, isMember), masks.areas)
  return {
    outcome: 'found',
    ...volumes,
    dice: (2 * both) / (reference + prediction),
    surface_dice: surfaceDice(distances, tolerance_mm),
    hd95_mm: hausdorffDistance(distances, 0.95),
  }
}

/** Voxels of the structure in both masks, and in each. */
function overlap({ counts, values }: MaskCodes, isMember: Uint8Array) {
  const width = values.length + 1
  let [both, reference, prediction] = [0, 0, 0]
  for (let r = 0; r < width; r++)
    for (let p = 0; p < width; p++) {
      const n = counts[r * width + p]!
      if (isMember[r] && isMember[p]) both += n
      if (isMember[r]) reference += n
      if (isMember[p]) prediction += n
    }
  return { both, reference, prediction }
}

function unionOf({ boxes }: MaskCodes, isMember: Uint8Array): Box {
  const own = boxes.filter((_, i) => isMember[i + 1])
  const over = (end: 'low' | 'high', choose: (...values: number[]) => number) =>
    [0, 1, 2].map((axis) => choose(...own.map((box) => box[end][axis]!))) as unknown as Triple
  return { low: over('low', Math.min), high: over('high', Math.max) }
}

function unlistedValues(
  { values, counts }: MaskCodes,
  listed: ReadonlySet<number>,
): MeasuredMasks['unlisted'] {
  const width = values.length + 1
  const occurs = (at: (code: number, other: number) => number) =>
    values.filter(
      (value, i) => !listed.has(value) && values.concat(0).some((_, o) => counts[at(i + 1, o)]! > 0),
    )
  return {
    reference: occurs((code, other) => code * width + other),
    prediction: occurs((code, other) => other * width + code),
  }
}
