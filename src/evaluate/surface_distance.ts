import { nearestCell } from './nearest_cell.ts'
import { type Box, cellGrid, type Surface, surfaceOf } from './surface.ts'

type Triple = readonly [number, number, number]

/** Two surfaces, and how far each of their elements is from the other surface. */
export interface SurfaceDistances {
  reference: Elements
  prediction: Elements
}

/** Surface elements of one structure. */
export interface Elements {
  /** mm to the other surface. */
  distances: Float64Array
  codes: Uint8Array
  /** mm² (of one slice: mm) by code. */
  areas: Float64Array
}

/**
 * Distances between the surfaces of two structures as DeepMind's surface-distance has them: a surface is made of
 * elements between neighbouring voxels, each with the area that marching cubes gives it, so that neither slice
 * thickness nor direction weighs more than it should; an element's distance is from the middle of its cell to that of
 * the nearest cell of the other surface.
 *
 * @param box part of the volume that has both structures in it
 * @param areas of `surfelAreas`, or of `contourLengths` where the volume has one slice
 * @see Nikolov et al., JMIR 23 (2021) e26151; github.com/google-deepmind/surface-distance
 */
export function surfaceDistances(
  masks: { reference: Uint8Array; prediction: Uint8Array; shape: Triple; spacing_mm: Triple },
  isMember: Uint8Array,
  box: Box,
  areas: Float64Array,
): SurfaceDistances {
  const { shape, spacing_mm } = masks
  const isFlat = shape[0] === 1
  const grid = cellGrid(box, isFlat)
  const reference = surfaceOf(masks.reference, shape, isMember, box, isFlat)
  const prediction = surfaceOf(masks.prediction, shape, isMember, box, isFlat)
  const elements = (of: Surface, to: Surface): Elements => ({
    distances: nearestCell(of.cells, to.cells, grid, spacing_mm),
    codes: of.codes,
    areas,
  })
  return { reference: elements(reference, prediction), prediction: elements(prediction, reference) }
}

/** Float32 affines give spacings such as 0.30000001: what is this close to the tolerance lies within it. */
const SLACK = 1e-6

/**
 * Surface Dice: the share of both surfaces' area that lies within the tolerance of the other surface.
 *
 * @param tolerance_mm how far apart two careful people draw the same surface
 */
export function surfaceDice({ reference, prediction }: SurfaceDistances, tolerance_mm: number): number {
  const limit = tolerance_mm * (1 + SLACK)
  const within = areaWithin(reference, limit) + areaWithin(prediction, limit)
  return within / (totalArea(reference) + totalArea(prediction))
}

/**
 * Robust Hausdorff distance in mm: the distance that so large a share of a surface's area is within, in the direction
 * where that is more.
 *
 * @param share 0.95 for HD95
 */
export function hausdorffDistance({ reference, prediction }: SurfaceDistances, share: number): number {
  return Math.max(distanceOfShare(reference, share), distanceOfShare(prediction, share))
}

/** The least distance among the elements that at least `share` of the area lies within. */
function distanceOfShare(elements: Elements, share: number): number {
  const sorted = elements.distances.slice().sort()
  // Sums in another order differ in their last bits, which must decide nothing.
  const wanted = share * totalArea(elements) * (1 - 1e-12)
  let low = 0
  let high = sorted.length - 1
  while (low < high) {
    const middle = (low + high) >>> 1
    if (areaWithin(elements, sorted[middle]!) >= wanted) high = middle
    else low = middle + 1
  }
  return sorted[low]!
}

const totalArea = (elements: Elements): number => areaWithin(elements, Number.POSITIVE_INFINITY)

/** Counts elements by code first, so that the sum does not depend on their order. */
function areaWithin({ distances, codes, areas }: Elements, limit: number): number {
  const counts = new Float64Array(areas.length)
  for (let i = 0; i < distances.length; i++) if (distances[i]! <= limit) counts[codes[i]!]!++
  return counts.reduce((sum, n, code) => sum + n * areas[code]!, 0)
}
