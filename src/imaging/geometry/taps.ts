import type { AxisMap } from './grid.ts'

export type Interpolation = 'nearest' | 'linear' | 'cubic'

/** Which source values make each target value along one axis. */
export interface Taps {
  /** Source values per target value: 1 nearest, 2 linear, 4 cubic. */
  width: 1 | 2 | 4
  /** [target size, width] source indices, within the source. */
  indices: Int32Array
  /** [target size, width]; each row sums to 1. */
  weights: Float64Array
  /** [target size]: 0 where the target's voxel lies outside the source, by more than `REACH` or half of its own size. */
  inside: Uint8Array
}

/**
 * Coordinates outside the source count as its border (MONAI's padding_mode="border").
 * Nearest rounds halves to the even index, as torch's grid_sample does; cubic is Keys' convolution with a = -1/2, whose
 * taps beyond the border repeat the border's value.
 *
 * @see Keys, IEEE Trans. ASSP 29 (1981) 1153-1160
 */
export function axisTaps(
  { start, step }: AxisMap,
  sourceSize: number,
  targetSize: number,
  interpolation: Interpolation,
): Taps {
  const width = WIDTHS[interpolation]
  const indices = new Int32Array(targetSize * width)
  const weights = new Float64Array(targetSize * width)
  const inside = new Uint8Array(targetSize)
  const last = sourceSize - 1
  const reach = Math.max(REACH, Math.abs(step) / 2) + SLACK
  for (let i = 0; i < targetSize; i++) {
    const coordinate = start + step * i
    inside[i] = coordinate >= -reach && coordinate <= last + reach ? 1 : 0
    const within = Math.min(last, Math.max(0, coordinate))
    if (interpolation === 'nearest') {
      indices[i] = roundHalfEven(within, 1e-7)
      weights[i] = 1
      continue
    }
    const low = Math.floor(within)
    const rest = within - low
    const share = interpolation === 'linear' ? [1 - rest, rest] : keys(rest)
    for (let k = 0; k < width; k++) {
      const index = low + k - (interpolation === 'cubic' ? 1 : 0)
      indices[i * width + k] = Math.min(last, Math.max(0, index))
      weights[i * width + k] = share[k]!
    }
  }
  return { width, indices, weights, inside }
}

const WIDTHS = { nearest: 1, linear: 2, cubic: 4 } as const

/**
 * Source voxels: as far as `planGrid` leaves the outermost voxel of a file beyond the outermost stored one, where it
 * keeps the middle of a volume and rounds its size down.
 */
const REACH = 0.75

/** Rounding in affines must not push the outermost voxels out. */
const SLACK = 1e-3

/** Weights of the samples at -1, 0, 1 and 2 for a point at 0 <= t < 1. */
function keys(t: number): number[] {
  const near = (d: number) => (1.5 * d - 2.5) * d * d + 1
  const far = (d: number) => ((-0.5 * d + 2.5) * d - 4) * d + 2
  return [far(1 + t), near(t), near(1 - t), far(2 - t)]
}

/** Halves go to the even neighbour; what is within `slack` of a half counts as one. */
export function roundHalfEven(value: number, slack: number): number {
  const low = Math.floor(value)
  const rest = value - low
  if (Math.abs(rest - 0.5) < slack) return low % 2 === 0 ? low : low + 1
  return rest < 0.5 ? low : low + 1
}
