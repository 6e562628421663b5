import { voxelSizes } from '../imaging/geometry/affine.ts'
import type { Grid } from '../imaging/geometry/grid.ts'
import { reorient } from '../imaging/geometry/orientation.ts'
import type { StoredVoxels } from '../imaging/store_volume.ts'
import type { Triple, Volume, Voxels } from '../imaging/volume.ts'
import { type Overlay, overlay, type Slice } from '../report/overlay.ts'

/** Across the slices that were scanned where they are clearly thicker than their pixels, else from the feet up. */
export function sliceAxis(shape: Triple, spacing_mm: Triple): 0 | 1 | 2 {
  const single = shape.indexOf(1)
  if (single >= 0) return single as 0 | 1 | 2
  const thickest = spacing_mm.indexOf(Math.max(...spacing_mm)) as 0 | 1 | 2
  const others = spacing_mm.filter((_, axis) => axis !== thickest)
  return spacing_mm[thickest] > 1.5 * Math.max(...others) ? thickest : 0
}

/**
 * The slice with the largest area of the structures, in the first of the masks that has any; the middle one where none has.
 *
 * @param masks of one shape
 */
export function largestSlice(
  masks: readonly [Volume, ...Volume[]],
  axis: 0 | 1 | 2,
  isStructure: (value: number) => boolean,
): number {
  for (const { data, shape } of masks) {
    const [, Y, X] = shape
    const stride = [Y * X, X, 1][axis]!
    const areas = new Float64Array(shape[axis])
    for (let i = 0; i < data.length; i++)
      if (data[i] !== 0 && isStructure(data[i]!)) areas[Math.floor(i / stride) % shape[axis]]!++
    const most = Math.max(...areas)
    if (most > 0) return areas.indexOf(most)
  }
  return Math.floor(masks[0].shape[axis] / 2)
}

/**
 * The middle slice of a volume's first channel, seen as radiologists see it.
 *
 * @param volume `data` [C, Z, Y, X]
 * @param longest of the drawing's sides, in pixels
 */
export function middleSlice(
  { data, shape, affine }: Grid & { data: Voxels | StoredVoxels },
  longest: number,
): Overlay {
  const first = Float32Array.from(data.subarray(0, shape[0] * shape[1] * shape[2]))
  const volume = reorient({ data: first, channels: 1, shape, affine }, 'LPS')
  const axis = sliceAxis(volume.shape, voxelSizes(volume.affine))
  const image = sliceOf(volume, axis, Math.floor(volume.shape[axis] / 2))
  const noMask = new Uint8Array(image.length)
  return overlay({ ...planeOf(volume, axis), reference: noMask, prediction: noMask, image }, longest)
}

/** Size of a slice across an axis: rows run down, columns across. */
export function planeOf(
  { shape, affine }: Volume,
  axis: 0 | 1 | 2,
): Pick<Slice, 'height' | 'width' | 'spacing_mm'> {
  const [down, across] = rowsAndColumns(axis)
  const spacing = voxelSizes(affine)
  return { height: shape[down], width: shape[across], spacing_mm: [spacing[down], spacing[across]] }
}

const rowsAndColumns = (axis: 0 | 1 | 2): readonly [0 | 1 | 2, 0 | 1 | 2] =>
  axis === 0 ? [1, 2] : axis === 1 ? [0, 2] : [0, 1]

/** The first channel of a slice, its first row on top: the head where rows run along the body. */
export function sliceOf({ data, shape }: Volume, axis: 0 | 1 | 2, index: number): Float64Array {
  const [, Y, X] = shape
  const strides = [Y * X, X, 1] as const
  const [down, across] = rowsAndColumns(axis)
  const [height, width] = [shape[down], shape[across]]
  const out = new Float64Array(height * width)
  let i = 0
  for (let r = 0; r < height; r++) {
    const row = down === 0 ? height - 1 - r : r
    let at = index * strides[axis] + row * strides[down]
    for (let c = 0; c < width; c++, at += strides[across]) out[i++] = data[at]!
  }
  return out
}

/** Red, green and blue of an RGB image of one slice. */
export function coloursOf({ data }: Volume): Float64Array[] {
  const pixels = data.length / 3
  return [0, 1, 2].map((c) => Float64Array.from(data.subarray(c * pixels, (c + 1) * pixels)))
}
