/** Which source samples make each output sample, and by what weights. */
export interface FilterTaps {
  /** Row length of `weights`: the most taps of any output. */
  stride: number
  /** First source index of each output. */
  first: Int32Array
  /** Number of source samples of each output. */
  count: Int32Array
  /** [outputs, stride], normalised to sum 1. */
  weights: Float64Array
}

export interface FilterOptions {
  filter: 'bilinear' | 'bicubic'
  antialias: boolean
}

/**
 * Taps of outputs `from` … `from + length - 1` when `inSize` samples become `outSize`.
 *
 * With antialias: Pillow's `precompute_coeffs`, operation by operation, so that the weights are the same doubles. The
 * filter widens by the scale when shrinking; bicubic is Keys' with a = -0.5.
 * Without: the filter keeps its width of 1 or 2 samples; edges repeat the outermost sample; bicubic has a = -0.75.
 * This is PyTorch's `interpolate(align_corners=False)` and OpenCV's `resize`.
 *
 * @see Pillow, src/libImaging/Resample.c
 * @see Keys, IEEE Trans. ASSP 29 (1981) 1153–1160
 */
export function filterTaps(
  inSize: number,
  outSize: number,
  { from, length }: { from: number; length: number },
  { filter, antialias }: FilterOptions,
): FilterTaps {
  return antialias
    ? antialiasedTaps(inSize, outSize, from, length, filter)
    : plainTaps(inSize, outSize, from, length, filter)
}

function antialiasedTaps(
  inSize: number,
  outSize: number,
  from: number,
  length: number,
  filter: FilterOptions['filter'],
): FilterTaps {
  const scale = inSize / outSize
  const filterScale = Math.max(scale, 1)
  const support = (filter === 'bilinear' ? 1 : 2) * filterScale
  const stride = Math.ceil(support) * 2 + 1
  const first = new Int32Array(length)
  const count = new Int32Array(length)
  const weights = new Float64Array(length * stride)
  const inverse = 1 / filterScale
  for (let i = 0; i < length; i++) {
    const center = (from + i + 0.5) * scale
    const low = Math.max(0, Math.trunc(center - support + 0.5))
    const high = Math.min(inSize, Math.trunc(center + support + 0.5))
    let sum = 0
    for (let x = 0; x < high - low; x++) {
      const distance = (x + low - center + 0.5) * inverse
      const weight = filter === 'bilinear' ? triangle(distance) : cubic(distance, -0.5)
      weights[i * stride + x] = weight
      sum += weight
    }
    if (sum !== 0) for (let x = 0; x < high - low; x++) weights[i * stride + x]! /= sum
    first[i] = low
    count[i] = high - low
  }
  return { stride, first, count, weights }
}

function plainTaps(
  inSize: number,
  outSize: number,
  from: number,
  length: number,
  filter: FilterOptions['filter'],
): FilterTaps {
  const stride = filter === 'bilinear' ? 2 : 4
  const first = new Int32Array(length)
  const count = new Int32Array(length)
  const weights = new Float64Array(length * stride)
  for (let i = 0; i < length; i++) {
    const center = (from + i + 0.5) * (inSize / outSize) - 0.5
    const left = Math.floor(center) - (stride / 2 - 1)
    const low = Math.min(inSize - 1, Math.max(0, left))
    const high = Math.min(inSize - 1, Math.max(0, left + stride - 1))
    for (let x = left; x < left + stride; x++) {
      const weight = filter === 'bilinear' ? triangle(x - center) : cubic(x - center, -0.75)
      weights[i * stride + Math.min(high, Math.max(low, x)) - low]! += weight
    }
    first[i] = low
    count[i] = high - low + 1
  }
  return { stride, first, count, weights }
}

function triangle(x: number): number {
  const d = Math.abs(x)
  return d < 1 ? 1 - d : 0
}

function cubic(x: number, a: number): number {
  const d = Math.abs(x)
  if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1
  if (d < 2) return (((d - 5) * d + 8) * d - 4) * a
  return 0
}
