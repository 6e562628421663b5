import type { Triple, Volume, Voxels } from '../volume.ts'
import { type AxisMap, axisMaps, type Grid } from './grid.ts'
import type { OrientedAxis } from './orientation.ts'
import { gather } from './slab.ts'
import { axisTaps, type Interpolation, type Taps } from './taps.ts'

/**
 * Brings each channel onto a grid that is aligned with the volume's own, whichever way its axes run: reorientation and
 * interpolation in one pass, without anti-aliasing, as MONAI's Orientationd followed by Spacingd.
 *
 * Outside the volume its border's values go on. Beside source and result no more is held than a slab of one channel.
 *
 * @param grid from `planGrid`, or any aligned grid
 * @returns float32; for `nearest` the volume's own type, its values untouched
 * @throws {ImageError} if the two grids are not aligned
 */
export function resample(
  volume: Volume,
  { shape, affine }: Grid,
  { interpolation }: { interpolation: Interpolation },
): Volume {
  const { data, channels } = volume
  const maps = axisMaps(volume, { shape, affine })
  const axes = maps.map(({ axis, step }) => ({ axis, flipped: step < 0 })) as unknown as OrientedAxes
  const oriented = axes.map(({ axis }) => volume.shape[axis]!) as unknown as Triple
  const taps = maps.map((map, k) =>
    axisTaps(forwards(map, oriented[k]!), oriented[k]!, shape[k]!, interpolation),
  ) as [Taps, Taps, Taps]
  const sourceSize = volume.shape[0] * volume.shape[1] * volume.shape[2]
  const targetSize = shape[0] * shape[1] * shape[2]
  const length = channels * targetSize
  const out =
    interpolation === 'nearest'
      ? new (data.constructor as new (length: number) => Voxels)(length)
      : new Float32Array(length)
  for (let c = 0; c < channels; c++) {
    const source = data.subarray(c * sourceSize, (c + 1) * sourceSize)
    const target = out.subarray(c * targetSize, (c + 1) * targetSize)
    for (const { from, to, first, end } of slabs(taps[0], shape[0])) {
      const slab = slabOf(source, volume.shape, axes, [first, end], interpolation)
      const part = target.subarray(from * shape[1] * shape[2], to * shape[1] * shape[2])
      if (interpolation === 'nearest') pick(slab, oriented, taps, { from, to, first }, part)
      else blend(slab as Float32Array, oriented, taps, { from, to, first }, part as Float32Array)
    }
  }
  return { data: out, channels, shape, affine }
}

type OrientedAxes = readonly [OrientedAxis, OrientedAxis, OrientedAxis]

/** The same map on the flipped source, so that steps never run backwards. */
function forwards(map: AxisMap, size: number): AxisMap {
  return map.step < 0 ? { ...map, start: size - 1 - map.start, step: -map.step } : map
}

/** Slices [from, to) of the target, made from slices [first, end) of the oriented source. */
interface Slab {
  from: number
  to: number
  first: number
  end: number
}

/** Groups of target slices whose source slices fit a slab; at least one slice each. */
function* slabs({ indices, width }: Taps, targetSize: number): Generator<Slab> {
  let from = 0
  while (from < targetSize) {
    const first = indices[from * width]!
    let to = from
    let end = first
    do end = indices[++to * width - 1]! + 1
    while (to < targetSize && indices[(to + 1) * width - 1]! + 1 - first <= SLAB_SLICES)
    yield { from, to, first, end }
    from = to
  }
}

const SLAB_SLICES = 32

/** Source slices [first, end) with axes as the target's: a view where the source has them already. */
function slabOf(
  source: Voxels,
  shape: Triple,
  axes: OrientedAxes,
  [first, end]: readonly [number, number],
  interpolation: Interpolation,
): Voxels {
  const isPlain = axes.every(({ axis, flipped }, k) => axis === k && !flipped)
  const slice = shape[axes[1].axis]! * shape[axes[2].axis]!
  if (isPlain && (interpolation === 'nearest' || source instanceof Float32Array))
    return source.subarray(first * slice, end * slice)
  const length = (end - first) * slice
  const out =
    interpolation === 'nearest'
      ? new (source.constructor as new (length: number) => Voxels)(length)
      : new Float32Array(length)
  gather(source, shape, axes, [first, end], out)
  return out
}

/**
 * Separable interpolation, a target row at a time: the source rows around it are summed into one, whose values are
 * then summed along x. A row of weight 0 costs nothing, so that whole steps are cheap.
 */
function blend(
  slab: Float32Array,
  [, sizeY, sizeX]: Triple,
  [z, y, x]: readonly [Taps, Taps, Taps],
  { from, to, first }: Omit<Slab, 'end'>,
  out: Float32Array,
): void {
  const row = new Float64Array(sizeX)
  const numRows = y.inside.length
  const numColumns = x.inside.length
  let at = 0
  for (let k = from; k < to; k++)
    for (let j = 0; j < numRows; j++, at += numColumns) {
      let isFirst = true
      for (let a = 0; a < z.width; a++)
        for (let b = 0; b < y.width; b++) {
          const weight = z.weights[k * z.width + a]! * y.weights[j * y.width + b]!
          if (weight === 0) continue
          const start = ((z.indices[k * z.width + a]! - first) * sizeY + y.indices[j * y.width + b]!) * sizeX
          if (isFirst) for (let i = 0; i < sizeX; i++) row[i] = weight * slab[start + i]!
          else for (let i = 0; i < sizeX; i++) row[i]! += weight * slab[start + i]!
          isFirst = false
        }
      along(row, x, out, at)
    }
}

/** Interpolates a row along x into `out` from `at` on. */
export function along(
  row: Float64Array,
  { width, indices, weights, inside }: Taps,
  out: Float32Array,
  at: number,
): void {
  const size = inside.length
  if (width === 2)
    for (let i = 0, t = 0; i < size; i++, t += 2)
      out[at + i] = weights[t]! * row[indices[t]!]! + weights[t + 1]! * row[indices[t + 1]!]!
  else
    for (let i = 0; i < size; i++) {
      let sum = 0
      for (let t = i * width; t < (i + 1) * width; t++) sum += weights[t]! * row[indices[t]!]!
      out[at + i] = sum
    }
}

function pick(
  slab: Voxels,
  [, sizeY, sizeX]: Triple,
  [z, y, x]: readonly [Taps, Taps, Taps],
  { from, to, first }: Omit<Slab, 'end'>,
  out: Voxels,
): void {
  let at = 0
  for (let k = from; k < to; k++)
    for (let j = 0; j < y.inside.length; j++) {
      const start = ((z.indices[k]! - first) * sizeY + y.indices[j]!) * sizeX
      for (let i = 0; i < x.inside.length; i++) out[at++] = slab[start + x.indices[i]!]!
    }
}
