import { InterpolatedTable } from './interpolated_table.ts'
import { percentile } from './percentile.ts'
import { principalPlane, type Vector3 } from './principal_plane.ts'

export interface MacenkoTarget {
  /** Optical-density RGB unit vectors of haematoxylin and eosin. */
  target_stains: readonly [Vector3, Vector3]
  /** 99th percentile of each stain's concentration. */
  target_max: readonly [number, number]
}

/**
 * Gives an H&E tile the stain colours and depths of a target.
 *
 * Optical density is -ln((v + 1) / 240). Pixels with every channel at 0.15 or more are tissue. In the plane of their
 * two principal axes, the 1st and 99th percentile of the angle are the two stains; haematoxylin is the one with more
 * red density. Concentrations are the least-squares fit, scaled so that their 99th percentiles meet the target's.
 * Angles are compared by their diamond angle, which orders them alike and needs no arctangent.
 *
 * @param rgb interleaved [H, W, 3], 0..255
 * @returns the same layout, rounded to the nearest level; null if there is too little tissue or only one stain
 * @see Macenko et al., A method for normalizing histology slides for quantitative analysis, ISBI 2009, 1107–1110
 */
export function macenko(rgb: Uint8Array, target: MacenkoTarget): Uint8Array | null {
  const tissue = tissueDensities(rgb)
  if (tissue.length < rgb.length * LEAST_TISSUE) return null
  const stains = findStains(tissue)
  if (stains === null) return null
  const concentrations = unmix(rgb, stains)
  const factors = concentrations.map((c, i) => target.target_max[i]! / percentile(c, 99))
  if (!factors.every((factor) => Number.isFinite(factor) && factor > 0)) return null
  return remix(concentrations, factors, target.target_stains)
}

/** Intensity of bare glass, and the density below which a channel counts as such. */
const BACKGROUND = 240
const LEAST_DENSITY = 0.15
/** Share of tissue below which a tile counts as blank. */
const LEAST_TISSUE = 0.01
/** Cosine between the two stains above which they are one. */
const ONE_STAIN = 0.9999

const DENSITY = Float32Array.from({ length: 256 }, (_, v) => -Math.log((v + 1) / BACKGROUND))
const exp = new InterpolatedTable(Math.exp, -8, 1, 1024)

/** Optical densities of tissue pixels, interleaved [N, 3]. */
function tissueDensities(rgb: Uint8Array): Float64Array {
  const out = new Float64Array(rgb.length)
  let length = 0
  for (let at = 0; at < rgb.length; at += 3) {
    const [r, g, b] = [DENSITY[rgb[at]!]!, DENSITY[rgb[at + 1]!]!, DENSITY[rgb[at + 2]!]!]
    if (r < LEAST_DENSITY || g < LEAST_DENSITY || b < LEAST_DENSITY) continue
    out[length++] = r
    out[length++] = g
    out[length++] = b
  }
  return out.subarray(0, length)
}

/** Unit vectors of haematoxylin and eosin; null if the tissue shows but one direction. */
function findStains(tissue: Float64Array): [Vector3, Vector3] | null {
  const [first, second] = principalPlane(tissue)
  const angles = new Float64Array(tissue.length / 3)
  for (let i = 0, at = 0; i < angles.length; i++, at += 3)
    angles[i] = diamondAngle(dotAt(first, tissue, at), dotAt(second, tissue, at))
  const [a, b] = [1, 99].map((q) => {
    const [along, across] = fromDiamondAngle(percentile(angles, q))
    return first.map((f, c) => f * along + second[c]! * across) as unknown as Vector3
  }) as [Vector3, Vector3]
  if (!(dotAt(a, b, 0) < ONE_STAIN)) return null
  return a[0] > b[0] ? [a, b] : [b, a]
}

/** Least-squares concentration of each stain in each pixel. */
function unmix(rgb: Uint8Array, [h, e]: readonly [Vector3, Vector3]): [Float64Array, Float64Array] {
  const overlap = dotAt(h, e, 0)
  const determinant = dotAt(h, h, 0) * dotAt(e, e, 0) - overlap * overlap
  const rows = [
    h.map((_, c) => (dotAt(e, e, 0) * h[c]! - overlap * e[c]!) / determinant),
    h.map((_, c) => (dotAt(h, h, 0) * e[c]! - overlap * h[c]!) / determinant),
  ]
  return rows.map((row) => {
    const [r, g, b] = row as unknown as Vector3
    const out = new Float64Array(rgb.length / 3)
    for (let i = 0, at = 0; i < out.length; i++, at += 3)
      out[i] = r * DENSITY[rgb[at]!]! + g * DENSITY[rgb[at + 1]!]! + b * DENSITY[rgb[at + 2]!]!
    return out
  }) as [Float64Array, Float64Array]
}

function remix(
  [haematoxylin, eosin]: readonly [Float64Array, Float64Array],
  factors: readonly number[],
  [h, e]: readonly [Vector3, Vector3],
): Uint8Array {
  const rgb = new Uint8Array(haematoxylin.length * 3)
  for (let i = 0, at = 0; i < haematoxylin.length; i++)
    for (let c = 0; c < 3; c++, at++) {
      const density = h[c]! * haematoxylin[i]! * factors[0]! + e[c]! * eosin[i]! * factors[1]!
      const value = Math.floor(BACKGROUND * exp.at(-density) + 0.5)
      rgb[at] = value > 255 ? 255 : value
    }
  return rgb
}

/** -2..2, rising with atan2(y, x) and cut where it is. */
function diamondAngle(x: number, y: number): number {
  const size = Math.abs(x) + Math.abs(y)
  if (size === 0) return 0
  if (x >= 0) return y / size
  return y >= 0 ? 2 - y / size : -2 - y / size
}

/** The unit vector of a diamond angle. */
function fromDiamondAngle(angle: number): [x: number, y: number] {
  const x = 1 - Math.abs(angle)
  const y = Math.abs(angle) <= 1 ? angle : angle > 0 ? 2 - angle : -2 - angle
  const norm = Math.sqrt(x * x + y * y)
  return [x / norm, y / norm]
}

function dotAt(v: Vector3, data: ArrayLike<number>, at: number): number {
  return v[0] * data[at]! + v[1] * data[at + 1]! + v[2] * data[at + 2]!
}
