import type { Triple, Voxels } from '../volume.ts'
import type { OrientedAxis } from './orientation.ts'

/**
 * Copies slices [from, to) of one reoriented channel to `out`, converting to its type.
 *
 * @param source one channel, [Z, Y, X] of `shape`
 * @param axes the reoriented z, y, x as axes of the source
 * @param out [to - from, y, x] of the reoriented shape
 */
export function gather(
  source: Voxels,
  shape: Triple,
  axes: readonly OrientedAxis[],
  [from, to]: readonly [number, number],
  out: Voxels,
): void {
  const strides = [shape[1] * shape[2], shape[2], 1]
  const [z, y, x] = axes.map(({ axis, flipped }) => ({
    size: shape[axis]!,
    first: flipped ? (shape[axis]! - 1) * strides[axis]! : 0,
    stride: flipped ? -strides[axis]! : strides[axis]!,
  })) as [Run, Run, Run]
  const base = z.first + y.first + x.first
  if (x.stride === 1) {
    for (let k = from, to_ = 0; k < to; k++)
      for (let j = 0; j < y.size; j++, to_ += x.size) {
        const at = base + k * z.stride + j * y.stride
        out.set(source.subarray(at, at + x.size), to_)
      }
    return
  }
  // Tiles: what is read together lies together in the source, whichever axis is contiguous there.
  for (let k0 = from; k0 < to; k0 += TILE)
    for (let j0 = 0; j0 < y.size; j0 += TILE)
      for (let i0 = 0; i0 < x.size; i0 += TILE) {
        const [k1, j1, i1] = [
          Math.min(to, k0 + TILE),
          Math.min(y.size, j0 + TILE),
          Math.min(x.size, i0 + TILE),
        ]
        for (let k = k0; k < k1; k++)
          for (let j = j0; j < j1; j++) {
            let at = base + k * z.stride + j * y.stride + i0 * x.stride
            const row = ((k - from) * y.size + j) * x.size
            for (let i = i0; i < i1; i++, at += x.stride) out[row + i] = source[at]!
          }
      }
}

interface Run {
  size: number
  first: number
  stride: number
}

const TILE = 16
