// Logits of a whole volume from windows that overlap, blended with Gaussian weights: what MONAI's
// sliding_window_inference(mode="gaussian") computes. Pure: the network is passed in.
// Shapes: C channels, K outputs, Z Y X voxels of the volume, z y x of a window.
import type { StoredVoxels } from '../imaging/store_volume.ts'

type Triple = readonly [number, number, number]

export interface WindowRequest {
  /** [C, Z, Y, X], stored values. */
  volume: StoredVoxels
  shape: readonly [C: number, Z: number, Y: number, X: number]
  /** [z, y, x] */
  patch: Triple
  /** Of neighbouring windows, as a share of their side. */
  overlap: number
  /** Array axes (0 z, 1 y, 2 x); each window's logits are averaged over all combinations of them. */
  mirror: readonly number[]
  /** Stored values [C] that a volume smaller than the window is continued with, evenly on both sides. */
  empty: readonly number[]
  numOutputs: number
  /** Windows in one run of the network. */
  batch: number
}

/** @returns logits [B, K, z, y, x] of windows [B, C, z, y, x] */
export type RunWindows = (windows: StoredVoxels, batch: number) => Promise<Float32Array>

/** Of a window's side, as MONAI's and nnU-Net's. */
const SIGMA = 0.125
const LEAST_WEIGHT = 1e-3

/**
 * Blended logits of a volume.
 *
 * @returns float32 [K, Z, Y, X]
 */
export async function slidingWindow(request: WindowRequest, run: RunWindows): Promise<Float32Array> {
  const { shape, patch, overlap, numOutputs, batch } = request
  const [, ...sides] = shape
  const before = sides.map((side, k) => Math.floor(Math.max(0, patch[k]! - side) / 2)) as unknown as Triple
  const size = sides.map((side, k) => Math.max(side, patch[k]!)) as unknown as Triple
  const starts = windowStarts(size, patch, overlap)
  const weight = importance(patch)
  const flips = mirrorings(request.mirror)
  const total = new Float32Array(numOutputs * sides[0]! * sides[1]! * sides[2]!)
  const weights = new Float32Array(sides[0]! * sides[1]! * sides[2]!)
  const corner = (start: Triple) => start.map((at, k) => at - before[k]!) as unknown as Triple
  for (let first = 0; first < starts.length; first += batch) {
    const group = starts.slice(first, first + batch)
    const windows = cutWindows(request, group.map(corner))
    const logits = await averaged(windows, group.length, request, flips, run)
    for (const [b, start] of group.entries())
      add(
        logits,
        b,
        corner(start),
        { patch, sides: sides as unknown as Triple, numOutputs },
        weight,
        total,
        weights,
      )
  }
  const voxels = weights.length
  for (let k = 0; k < numOutputs; k++) for (let i = 0; i < voxels; i++) total[k * voxels + i]! /= weights[i]!
  return total
}

/** Where windows start, z slowest: at even steps, the last drawn back to the end of the volume. */
export function windowStarts(size: Triple, patch: Triple, overlap: number): Triple[] {
  const along = size.map((side, k) => {
    const step = Math.max(1, Math.floor(patch[k]! * (1 - overlap)))
    const count = 1 + Math.ceil((side - patch[k]!) / step)
    return Array.from({ length: count }, (_, i) => Math.min(i * step, side - patch[k]!))
  })
  return along[0]!.flatMap((z) => along[1]!.flatMap((y) => along[2]!.map((x): Triple => [z, y, x])))
}

/** Weights [z, y, x] of a window's voxels: a Gaussian about its centre, nowhere below a thousandth. */
export function importance(patch: Triple): Float32Array {
  const [z, y, x] = patch.map((side) =>
    Float32Array.from({ length: side }, (_, i) => {
      const t = i - (side - 1) / 2
      return Math.exp((t * t) / (-2 * (SIGMA * side) ** 2))
    }),
  ) as [Float32Array, Float32Array, Float32Array]
  const weight = new Float32Array(patch[0] * patch[1] * patch[2])
  let at = 0
  // Rounded to float32 at each product, as PyTorch does.
  for (const a of z) for (const b of y) for (const c of x) weight[at++] = Math.fround(a * b) * c
  let least = Number.POSITIVE_INFINITY
  for (const value of weight) least = Math.min(least, value)
  least = Math.fround(Math.max(least, LEAST_WEIGHT))
  for (let i = 0; i < weight.length; i++) weight[i] = Math.max(weight[i]!, least)
  return weight
}

/** All combinations of axes, the empty one first. */
export function mirrorings(axes: readonly number[]): number[][] {
  const all: number[][] = [[]]
  for (const axis of axes) all.push(...all.map((one) => [...one, axis]))
  return all
}

/** Windows [B, C, z, y, x] that start at the given corners, which may lie outside of the volume. */
export function cutWindows(
  { volume, shape, patch, empty }: Pick<WindowRequest, 'volume' | 'shape' | 'patch' | 'empty'>,
  corners: readonly Triple[],
): StoredVoxels {
  const [C, Z, Y, X] = shape
  const [z, y, x] = patch
  const VoxelArray = volume.constructor as new (length: number) => StoredVoxels
  const windows = new VoxelArray(corners.length * C * z * y * x)
  let at = 0
  for (const [startZ, startY, startX] of corners) {
    const from = Math.max(0, startX)
    const to = Math.min(X, startX + x)
    for (let c = 0; c < C; c++)
      for (let k = startZ; k < startZ + z; k++)
        for (let j = startY; j < startY + y; j++, at += x) {
          const isInside = k >= 0 && k < Z && j >= 0 && j < Y
          if (!isInside || to - from < x) windows.fill(empty[c]!, at, at + x)
          if (!isInside) continue
          const row = ((c * Z + k) * Y + j) * X
          windows.set(volume.subarray(row + from, row + to), at + from - startX)
        }
  }
  return windows
}

async function averaged(
  windows: StoredVoxels,
  batch: number,
  { shape, patch, numOutputs }: WindowRequest,
  flips: readonly (readonly number[])[],
  run: RunWindows,
): Promise<Float32Array> {
  let sum: Float32Array | null = null
  for (const axes of flips) {
    const logits = flipped(
      await run(flipped(windows, batch * shape[0], patch, axes), batch),
      batch * numOutputs,
      patch,
      axes,
    )
    if (sum === null) sum = flips.length === 1 ? logits : logits.slice()
    else for (let i = 0; i < sum.length; i++) sum[i]! += logits[i]!
  }
  if (flips.length > 1) for (let i = 0; i < sum!.length; i++) sum![i]! /= flips.length
  return sum!
}

/** Blocks [N, z, y, x] mirrored along axes; the same array for none. */
function flipped<T extends StoredVoxels>(
  blocks: T,
  count: number,
  [z, y, x]: Triple,
  axes: readonly number[],
): T {
  if (axes.length === 0) return blocks
  const out = new (blocks.constructor as new (length: number) => T)(blocks.length)
  const [isZ, isY, isX] = [axes.includes(0), axes.includes(1), axes.includes(2)]
  let at = 0
  for (let n = 0; n < count; n++)
    for (let k = 0; k < z; k++)
      for (let j = 0; j < y; j++, at += x) {
        const row = ((n * z + (isZ ? z - 1 - k : k)) * y + (isY ? y - 1 - j : j)) * x
        if (isX) for (let i = 0; i < x; i++) out[at + i] = blocks[row + x - 1 - i]!
        else out.set(blocks.subarray(row, row + x), at)
      }
  return out
}

/** Adds one window's weighted logits to the volume's, where they overlap. */
function add(
  logits: Float32Array,
  b: number,
  [startZ, startY, startX]: Triple,
  { patch: [z, y, x], sides: [Z, Y, X], numOutputs }: { patch: Triple; sides: Triple; numOutputs: number },
  weight: Float32Array,
  total: Float32Array,
  weights: Float32Array,
): void {
  const [firstX, endX] = [Math.max(0, -startX), Math.min(x, X - startX)]
  for (let k = Math.max(0, -startZ); k < Math.min(z, Z - startZ); k++)
    for (let j = Math.max(0, -startY); j < Math.min(y, Y - startY); j++) {
      const inWindow = (k * y + j) * x
      const inVolume = ((startZ + k) * Y + startY + j) * X + startX
      for (let i = firstX; i < endX; i++) weights[inVolume + i]! += weight[inWindow + i]!
      for (let o = 0; o < numOutputs; o++) {
        const from = (b * numOutputs + o) * z * y * x + inWindow
        const to = o * Z * Y * X + inVolume
        for (let i = firstX; i < endX; i++) total[to + i]! += logits[from + i]! * weight[inWindow + i]!
      }
    }
}
