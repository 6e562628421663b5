import { encodePng } from '#raster'
import { voxelSizes } from '../imaging/geometry/affine.ts'
import { reorient } from '../imaging/geometry/orientation.ts'
import type { Volume } from '../imaging/volume.ts'
import { paintedValues, type Structure } from '../schema/task.ts'
import type { Segmented } from './segment.ts'

type Colour = readonly [number, number, number]
/** Told apart by most eyes, on grey: after Okabe and Ito (2008). */
const COLOURS: readonly Colour[] = [
  [255, 150, 50],
  [64, 180, 255],
  [60, 210, 150],
  [250, 225, 80],
  [235, 130, 190],
  [170, 140, 255],
  [230, 90, 80],
  [150, 220, 230],
]

/** #rrggbb of a structure in drawings. */
export function structureColour(index: number): string {
  const colour = COLOURS[index % COLOURS.length]!
  return `#${colour.map((value) => value.toString(16).padStart(2, '0')).join('')}`
}

/** Side of each view in pixels, and the space between two. */
const SIDE = 300
const GAP = 6
const OPACITY = 0.45
/** Share of the grey values of a view that are drawn black, and as many white. */
const CLIPPED = 0.005

/**
 * An axial, a coronal and a sagittal slice side by side as a PNG, each where the mask is largest: the patient seen from
 * the feet, from the front, and from the left. A 2D image is one view, in its colours.
 */
export async function maskViews(
  { stored, mask }: Pick<Segmented, 'stored' | 'mask'>,
  structures: readonly Structure[],
): Promise<Uint8Array> {
  const [, z, y, x] = stored.shape
  const isFlat = stored.source.distance_unit === 'px'
  const turned = (volume: Volume) => (isFlat ? volume : reorient(volume, 'LPS'))
  const grid = { channels: 1, shape: [z, y, x] as const, affine: stored.affine }
  const numShown = isFlat && stored.shape[0] === 3 ? 3 : 1
  const images = Array.from({ length: numShown }, (_, c) =>
    turned({ ...grid, data: Float32Array.from(stored.data.subarray(c * z * y * x, (c + 1) * z * y * x)) }),
  )
  const labels = turned(stored.onStoredGrid(mask))
  const axes = isFlat ? ([0] as const) : ([0, 1, 2] as const)
  const colours = new Map(paintedValues(structures).map((value, i) => [value, COLOURS[i % COLOURS.length]!]))
  const width = axes.length * SIDE + (axes.length - 1) * GAP
  const data = new Uint8Array(3 * width * SIDE)
  for (const axis of axes)
    draw(
      data,
      width,
      axis * (SIDE + GAP),
      { images, labels, axis, index: largestSlice(labels, axis) },
      colours,
    )
  return encodePng({ data, height: SIDE, width, channels: 3 })
}

interface View {
  /** One of grey, or red, green and blue. */
  images: Volume[]
  labels: Volume
  axis: 0 | 1 | 2
  index: number
}

/** The slice with most labelled voxels; the middle one of an empty mask. */
function largestSlice({ data, shape }: Volume, axis: 0 | 1 | 2): number {
  const [, Y, X] = shape
  const stride = [Y * X, X, 1][axis]!
  const areas = new Float64Array(shape[axis])
  for (let i = 0; i < data.length; i++) if (data[i] !== 0) areas[Math.floor(i / stride) % shape[axis]]!++
  const most = Math.max(...areas)
  return most > 0 ? areas.indexOf(most) : Math.floor(shape[axis] / 2)
}

/** Draws a view into a square, whole and with square pixels, its first column at `left`. */
function draw(
  out: Uint8Array,
  outWidth: number,
  left: number,
  { images, labels, axis, index }: View,
  colours: ReadonlyMap<number, Colour>,
): void {
  const { shape, affine } = labels
  const spacing = voxelSizes(affine)
  const [down, across] = (
    [
      [1, 2],
      [0, 2],
      [0, 1],
    ] as const
  )[axis]
  const [height, width] = [shape[down], shape[across]]
  const perPixel = Math.max(height * spacing[down], width * spacing[across]) / SIDE
  const strides = [shape[1] * shape[2], shape[2], 1] as const
  // Rows run down the body where they run along it: the head is on top.
  const at = (r: number, c: number) =>
    index * strides[axis] + (down === 0 ? height - 1 - r : r) * strides[down] + c * strides[across]
  const ranges = images.map((image) => greyRange(image, height, width, at))
  // Of one range, or colours would shift.
  const [low, high] = [Math.min(...ranges.map((one) => one[0])), Math.max(...ranges.map((one) => one[1]))]
  const inside = (value: number, size: number) => Math.min(Math.max(value, 0), size - 1)
  for (let row = 0; row < SIDE; row++)
    for (let column = 0; column < SIDE; column++) {
      const v = ((row + 0.5 - SIDE / 2) * perPixel) / spacing[down] + height / 2 - 0.5
      const u = ((column + 0.5 - SIDE / 2) * perPixel) / spacing[across] + width / 2 - 0.5
      if (v < -0.5 || u < -0.5 || v > height - 0.5 || u > width - 0.5) continue
      const [r, c] = [Math.floor(v), Math.floor(u)]
      const [fr, fc] = [v - r, u - c]
      const values = images.map(() => 0)
      const shares = new Map<number, number>()
      for (const [dr, wr] of [
        [0, 1 - fr],
        [1, fr],
      ] as const)
        for (const [dc, wc] of [
          [0, 1 - fc],
          [1, fc],
        ] as const) {
          const i = at(inside(r + dr, height), inside(c + dc, width))
          for (const [k, image] of images.entries()) values[k]! += wr * wc * image.data[i]!
          shares.set(labels.data[i]!, (shares.get(labels.data[i]!) ?? 0) + wr * wc)
        }
      const shades = values.map((value) =>
        high > low ? 255 * Math.min(Math.max((value - low) / (high - low), 0), 1) : 0,
      )
      const label = [...shares].reduce((most, one) => (one[1] > most[1] ? one : most))[0]
      const colour = colours.get(label)
      const pixel = 3 * (row * outWidth + left + column)
      for (let k = 0; k < 3; k++) {
        const shade = shades[k % shades.length]!
        out[pixel + k] = colour ? shade * (1 - OPACITY) + colour[k]! * OPACITY : shade
      }
    }
}

function greyRange(
  { data }: Volume,
  height: number,
  width: number,
  at: (r: number, c: number) => number,
): readonly [number, number] {
  const values = new Float64Array(height * width)
  for (let r = 0, i = 0; r < height; r++) for (let c = 0; c < width; c++) values[i++] = data[at(r, c)]!
  values.sort()
  const clipped = Math.floor(CLIPPED * (values.length - 1))
  return [values[clipped]!, values[values.length - 1 - clipped]!]
}
