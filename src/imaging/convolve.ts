import type { FilterTaps } from './filter_taps.ts'

/** Parallel lines of samples: sample i of line j is `data[start + i * step + j * lineStep]`. Rows or columns alike. */
export interface Lines<T> {
  data: T
  start: number
  step: number
  lineStep: number
}

/** Pillow's `PRECISION_BITS`: 32 less 8 of the sample less 2 for the filter's overshoot. */
const PRECISION_BITS = 22

/**
 * Each line of `from` filtered into the same line of `to`, in Pillow's fixed-point arithmetic: bit-equal to it.
 *
 * Four lines at a time share each weight, which halves the time (bench/imaging.ts). A block that reaches past the
 * last line repeats it and writes the same values again.
 */
export function convolveFixedPoint(
  numLines: number,
  from: Lines<Uint8Array>,
  taps: FilterTaps,
  to: Lines<Uint8Array>,
): void {
  const { data, step } = from
  const out = to.data
  const { stride, first, count } = taps
  const weights = fixedPoint(taps.weights)
  const half = 1 << (PRECISION_BITS - 1)
  for (let line = 0; line < numLines; line += 4) {
    const last = numLines - 1 - line
    const [line1, line2, line3] = [Math.min(1, last), Math.min(2, last), Math.min(3, last)]
    const from0 = from.start + line * from.lineStep
    const from1 = line1 * from.lineStep
    const from2 = line2 * from.lineStep
    const from3 = line3 * from.lineStep
    const to0 = to.start + line * to.lineStep
    const to1 = line1 * to.lineStep
    const to2 = line2 * to.lineStep
    const to3 = line3 * to.lineStep
    for (let i = 0; i < first.length; i++) {
      let sum0 = half
      let sum1 = half
      let sum2 = half
      let sum3 = half
      const end = i * stride + count[i]!
      for (let k = i * stride, at = from0 + first[i]! * step; k < end; k++, at += step) {
        const weight = weights[k]!
        sum0 = (sum0 + Math.imul(data[at]!, weight)) | 0
        sum1 = (sum1 + Math.imul(data[at + from1]!, weight)) | 0
        sum2 = (sum2 + Math.imul(data[at + from2]!, weight)) | 0
        sum3 = (sum3 + Math.imul(data[at + from3]!, weight)) | 0
      }
      const at = to0 + i * to.step
      out[at] = clip8(sum0 >> PRECISION_BITS)
      out[at + to1] = clip8(sum1 >> PRECISION_BITS)
      out[at + to2] = clip8(sum2 >> PRECISION_BITS)
      out[at + to3] = clip8(sum3 >> PRECISION_BITS)
    }
  }
}

/** The same in doubles, neither rounded nor clipped. */
export function convolveFloat(
  numLines: number,
  from: Lines<Uint8Array | Uint16Array | Float64Array>,
  taps: FilterTaps,
  to: Lines<Float64Array>,
): void {
  const { data, step } = from
  const out = to.data
  const { stride, first, count, weights } = taps
  for (let line = 0; line < numLines; line += 4) {
    const last = numLines - 1 - line
    const [line1, line2, line3] = [Math.min(1, last), Math.min(2, last), Math.min(3, last)]
    const from0 = from.start + line * from.lineStep
    const from1 = line1 * from.lineStep
    const from2 = line2 * from.lineStep
    const from3 = line3 * from.lineStep
    const to0 = to.start + line * to.lineStep
    const to1 = line1 * to.lineStep
    const to2 = line2 * to.lineStep
    const to3 = line3 * to.lineStep
    for (let i = 0; i < first.length; i++) {
      let sum0 = 0
      let sum1 = 0
      let sum2 = 0
      let sum3 = 0
      const end = i * stride + count[i]!
      for (let k = i * stride, at = from0 + first[i]! * step; k < end; k++, at += step) {
        const weight = weights[k]!
        sum0 += data[at]! * weight
        sum1 += data[at + from1]! * weight
        sum2 += data[at + from2]! * weight
        sum3 += data[at + from3]! * weight
      }
      const at = to0 + i * to.step
      out[at] = sum0
      out[at + to1] = sum1
      out[at + to2] = sum2
      out[at + to3] = sum3
    }
  }
}

const clip8 = (value: number) => (value < 0 ? 0 : value > 255 ? 255 : value)

/** Rounded to the nearest, halves away from zero, as Pillow does. */
function fixedPoint(weights: Float64Array): Int32Array {
  const out = new Int32Array(weights.length)
  for (let i = 0; i < out.length; i++) {
    const scaled = weights[i]! * 2 ** PRECISION_BITS
    out[i] = Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5)
  }
  return out
}
