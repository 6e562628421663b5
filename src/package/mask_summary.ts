import type { Triple } from '../imaging/volume.ts'
import type { MaskSummary } from '../schema/certified_volume.ts'
import type { Structure } from '../schema/task.ts'

/** Of each structure of a mask: how many voxels, in which box, around which point. */
export function summarizeMask(
  { data, shape }: { data: Uint8Array; shape: Triple },
  structures: readonly Structure[],
): Record<string, MaskSummary> {
  const byValue = Array.from({ length: 256 }, () => new Extent())
  const [Z, Y, X] = shape
  let at = 0
  for (let z = 0; z < Z; z++)
    for (let y = 0; y < Y; y++)
      for (let x = 0; x < X; x++) {
        const value = data[at++]!
        if (value !== 0) byValue[value]!.add(z, y, x)
      }
  return Object.fromEntries(
    structures.map(({ name, values }) => [name, Extent.of(values.map((value) => byValue[value]!)).summary()]),
  )
}

/**
 * The fewest voxels in which two masks of a structure must differ, for one to have this summary and the other that. A
 * voxel that differs changes the count by 1, and the sum of distances from the middle of both along an axis by no more
 * than half their extent there.
 */
export function fewestDiffering(a: MaskSummary, b: MaskSummary): number {
  if (a.place === null || b.place === null) return Math.max(a.voxels, b.voxels)
  let fewest = Math.abs(a.voxels - b.voxels)
  for (const axis of [0, 1, 2] as const) {
    const first = Math.min(a.place.first[axis], b.place.first[axis])
    const last = Math.max(a.place.last[axis], b.place.last[axis])
    if (first === last) continue
    const middle = (first + last) / 2
    const moment = ({ voxels }: MaskSummary, { centroid }: NonNullable<MaskSummary['place']>) =>
      voxels * (centroid[axis] - middle)
    fewest = Math.max(fewest, Math.abs(moment(a, a.place) - moment(b, b.place)) / ((last - first) / 2))
  }
  return fewest
}

type Sums = [number, number, number]

class Extent {
  voxels = 0
  readonly first: Sums = [Infinity, Infinity, Infinity]
  readonly last: Sums = [-1, -1, -1]
  readonly sum: Sums = [0, 0, 0]

  static of(parts: readonly Extent[]): Extent {
    const whole = new Extent()
    for (const one of parts) {
      whole.voxels += one.voxels
      for (const axis of [0, 1, 2] as const) {
        whole.first[axis] = Math.min(whole.first[axis], one.first[axis])
        whole.last[axis] = Math.max(whole.last[axis], one.last[axis])
        whole.sum[axis] += one.sum[axis]
      }
    }
    return whole
  }

  add(z: number, y: number, x: number): void {
    const { first, last, sum } = this
    this.voxels++
    if (z < first[0]) first[0] = z
    if (z > last[0]) last[0] = z
    if (y < first[1]) first[1] = y
    if (y > last[1]) last[1] = y
    if (x < first[2]) first[2] = x
    if (x > last[2]) last[2] = x
    sum[0] += z
    sum[1] += y
    sum[2] += x
  }

  summary(): MaskSummary {
    const { voxels, first, last, sum } = this
    if (voxels === 0) return { voxels, place: null }
    const [z, y, x] = sum
    return { voxels, place: { first, last, centroid: [z / voxels, y / voxels, x / voxels] } }
  }
}
