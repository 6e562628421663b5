import type { Triple, Volume, Voxels } from '../volume.ts'
import { axisMaps, type Grid } from './grid.ts'
import { interpolateRow, rowScratch } from './interpolate_row.ts'
import { scatter, stridesOf } from './scatter.ts'
import { axisTaps, type Interpolation, type Taps } from './taps.ts'

/**
 * Brings each channel onto a grid that is aligned with the volume's own, whichever way its axes run: reorientation and
 * interpolation in one pass, without anti-aliasing, as MONAI's Orientationd followed by Spacingd.
 *
 * Outside the volume its border's values go on. Beside source and result no more is held than slabs of one channel.
 *
 * @param grid from `planGrid`, or any aligned grid
 * @returns float32; for `nearest` the volume's own type, its values untouched
 * @throws {ImageError} if the two grids are not aligned
 */
export function resample(
  volume: Volume,
  grid: Grid,
  { interpolation }: { interpolation: Interpolation },
): Volume {
  const { data, channels } = volume
  const view = sourceView(volume, grid, interpolation)
  const sourceSize = volume.shape[0] * volume.shape[1] * volume.shape[2]
  const targetSize = grid.shape[0] * grid.shape[1] * grid.shape[2]
  const out =
    interpolation === 'nearest'
      ? emptyLike(data, channels * targetSize)
      : new Float32Array(channels * targetSize)
  const slice = view.shape[1] * view.shape[2]
  const scratch = view.isInOrder ? null : emptyLike(out, Math.min(SLAB_SLICES, view.shape[0]) * slice)
  const planned = [...slabs(view.taps[0], view.shape[0])]
  const rows = volume.shape[1] * volume.shape[2]
  const isWide = interpolation === 'nearest' || data instanceof Float32Array
  const wide = isWide
    ? null
    : new Float32Array(rows * Math.max(...planned.map(({ first, end }) => end - first)))
  for (let c = 0; c < channels; c++) {
    const source = data.subarray(c * sourceSize, (c + 1) * sourceSize)
    const target = out.subarray(c * targetSize, (c + 1) * targetSize)
    for (const { from, to, first, end } of planned) {
      const slab = source.subarray(first * rows, end * rows)
      const made = scratch === null ? target.subarray(from * slice, to * slice) : scratch
      if (interpolation === 'nearest') pick(slab, volume.shape, view.taps, { from, to, first }, made)
      else blend(float32(slab, wide), volume.shape, view.taps, { from, to, first }, made as Float32Array)
      if (scratch !== null)
        scatter(made, [to - from, view.shape[1], view.shape[2]], target, from * view.strides[0], view.strides)
    }
  }
  return { data: out, channels, shape: grid.shape, affine: grid.affine }
}

/** A target grid with its axes in the order of the source's, so that rows are read as they lie. */
export interface SourceView {
  shape: Triple
  /** Of each axis, in the source. */
  taps: readonly [Taps, Taps, Taps]
  /** Steps in the target's own array. */
  strides: Triple
  /** Whether the two orders are the same. */
  isInOrder: boolean
}

/** @throws {ImageError} if the two grids are not aligned */
export function sourceView(source: Grid, target: Grid, interpolation: Interpolation): SourceView {
  const maps = axisMaps(source, target)
  const taps: Taps[] = []
  const shape = [0, 0, 0]
  const strides = [0, 0, 0]
  for (const [k, map] of maps.entries()) {
    taps[map.axis] = axisTaps(map, source.shape[map.axis]!, target.shape[k]!, interpolation)
    shape[map.axis] = target.shape[k]!
    strides[map.axis] = stridesOf(target.shape)[k]!
  }
  return {
    shape: shape as unknown as Triple,
    taps: taps as unknown as SourceView['taps'],
    strides: strides as unknown as Triple,
    isInOrder: maps.every(({ axis }, k) => axis === k),
  }
}

/** Slices [from, to) of the result, made from slices [first, end) of the source. */
interface Slab {
  from: number
  to: number
  first: number
  end: number
}

/** Groups of slices that together need few of the source; at least one each. */
function* slabs({ indices, width }: Taps, size: number): Generator<Slab> {
  const low = (i: number) => Math.min(indices[i * width]!, indices[(i + 1) * width - 1]!)
  const high = (i: number) => Math.max(indices[i * width]!, indices[(i + 1) * width - 1]!)
  for (let from = 0, to = 0; from < size; from = to) {
    let [first, last] = [low(from), high(from)]
    for (to = from + 1; to < size && to < from + SLAB_SLICES; to++) {
      const [wider, further] = [Math.min(first, low(to)), Math.max(last, high(to))]
      if (further - wider >= SLAB_SLICES) break
      first = wider
      last = further
    }
    yield { from, to, first, end: last + 1 }
  }
}

const SLAB_SLICES = 32

function emptyLike(data: Voxels, length: number): Voxels {
  return new (data.constructor as new (length: number) => Voxels)(length)
}

/** Copied into `wide`, whose memory is there already: fresh memory takes several times as long to fill. */
function float32(slab: Voxels, wide: Float32Array | null): Float32Array {
  if (wide === null) return slab as Float32Array
  wide.set(slab)
  return wide
}

function blend(
  slab: Float32Array,
  [, sizeY, sizeX]: Triple,
  taps: SourceView['taps'],
  { from, to, first }: Omit<Slab, 'end'>,
  out: Float32Array,
): void {
  const scratch = rowScratch(sizeX)
  const numRows = taps[1].inside.length
  const numColumns = taps[2].inside.length
  const base = -first * sizeY * sizeX
  let at = 0
  for (let k = from; k < to; k++)
    for (let j = 0; j < numRows; j++, at += numColumns)
      interpolateRow(slab, base, sizeY, taps, k, j, scratch, out, at)
}

function pick(
  slab: Voxels,
  [, sizeY, sizeX]: Triple,
  [z, y, x]: SourceView['taps'],
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
