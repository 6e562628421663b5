import { InterpolatedTable } from './interpolated_table.ts'

/** Mean and standard deviation of l, α, β (natural logarithm of 0..255 cone responses). */
export interface ReinhardTarget {
  target_mean: readonly [number, number, number]
  target_std: readonly [number, number, number]
}

/**
 * Gives an RGB tile the mean and standard deviation of a target in Ruderman's lαβ space, over all its pixels.
 *
 * @param rgb interleaved [H, W, 3], 0..255
 * @returns the same layout, rounded to the nearest level; null if the tile is all but uniform
 * @see Reinhard et al., IEEE Computer Graphics and Applications 21(5) (2001) 34–41
 */
export function reinhard(rgb: Uint8Array, target: ReinhardTarget): Uint8Array | null {
  const lab = toLab(rgb)
  const { mean, std } = statistics(lab)
  if (std[0]! < LEAST_CONTRAST) return null
  const factor = std.map((s, c) => (s > LEAST_STD ? target.target_std[c]! / s : 1))
  for (let at = 0; at < lab.length; at += 3)
    for (let c = 0; c < 3; c++) lab[at + c] = (lab[at + c]! - mean[c]!) * factor[c]! + target.target_mean[c]!
  return toRgb(lab)
}

/** Standard deviation of l below which a tile is blank: noise of about 1 % in brightness. */
const LEAST_CONTRAST = 0.02
/** A colour channel this even has nothing to scale. */
const LEAST_STD = 1e-6

/** RGB to LMS cone responses, Reinhard's equation 4 (rows L, M, S), and its inverse, computed exactly. */
const RGB_TO_LMS = [
  [0.3811, 0.5783, 0.0402],
  [0.1967, 0.7244, 0.0782],
  [0.0241, 0.1288, 0.8444],
] as const
const LMS_TO_RGB = inverse3(RGB_TO_LMS)

const [SQRT3, SQRT6, SQRT2] = [Math.sqrt(3), Math.sqrt(6), Math.sqrt(2)]
/** The least response of a pixel that is not black, L of (0, 0, 1); black counts as that: its logarithm is infinite. */
const DARKEST = 0.0402
const log = new InterpolatedTable(Math.log, DARKEST, 256, 64)
const exp = new InterpolatedTable(Math.exp, -8, 8, 1024)

function toLab(rgb: Uint8Array): Float64Array {
  const lab = new Float64Array(rgb.length)
  const [toL, toM, toS] = RGB_TO_LMS
  for (let at = 0; at < rgb.length; at += 3) {
    const [r, g, b] = [rgb[at]!, rgb[at + 1]!, rgb[at + 2]!]
    const l = log.at(toL[0] * r + toL[1] * g + toL[2] * b)
    const m = log.at(toM[0] * r + toM[1] * g + toM[2] * b)
    const s = log.at(toS[0] * r + toS[1] * g + toS[2] * b)
    lab[at] = (l + m + s) / SQRT3
    lab[at + 1] = (l + m - 2 * s) / SQRT6
    lab[at + 2] = (l - m) / SQRT2
  }
  return lab
}

function toRgb(lab: Float64Array): Uint8Array {
  const rgb = new Uint8Array(lab.length)
  for (let at = 0; at < lab.length; at += 3) {
    const [sum, blue, red] = [lab[at]! / SQRT3, lab[at + 1]! / SQRT6, lab[at + 2]! / SQRT2]
    const l = exp.at(sum + blue + red)
    const m = exp.at(sum + blue - red)
    const s = exp.at(sum - 2 * blue)
    for (let c = 0; c < 3; c++) {
      const [fromL, fromM, fromS] = LMS_TO_RGB[c]!
      const value = Math.floor(fromL * l + fromM * m + fromS * s + 0.5)
      rgb[at + c] = value < 0 ? 0 : value > 255 ? 255 : value
    }
  }
  return rgb
}

/** Per channel; the standard deviation divides by the number of pixels. */
function statistics(lab: Float64Array): { mean: number[]; std: number[] } {
  const numPixels = lab.length / 3
  const mean = [0, 1, 2].map((c) => {
    let sum = 0
    for (let at = c; at < lab.length; at += 3) sum += lab[at]!
    return sum / numPixels
  })
  const std = mean.map((m, c) => {
    let sum = 0
    for (let at = c; at < lab.length; at += 3) sum += (lab[at]! - m) * (lab[at]! - m)
    return Math.sqrt(sum / numPixels)
  })
  return { mean, std }
}

type Matrix3 = readonly (readonly [number, number, number])[]

/** Inverse of an invertible 3×3 matrix, by cofactors. */
function inverse3(m: Matrix3): Matrix3 {
  const cofactor = (i: number, j: number) => {
    const [r0, r1] = [(i + 1) % 3, (i + 2) % 3]
    const [c0, c1] = [(j + 1) % 3, (j + 2) % 3]
    return m[r0]![c0]! * m[r1]![c1]! - m[r0]![c1]! * m[r1]![c0]!
  }
  const determinant = [0, 1, 2].reduce((sum, j) => sum + m[0]![j]! * cofactor(0, j), 0)
  return [0, 1, 2].map((i) => [0, 1, 2].map((j) => cofactor(j, i) / determinant) as [number, number, number])
}
