import type { Volume } from '../imaging/volume.ts'
import type { PhantomVolumesSource } from '../schema/data.ts'
import {
  type Ellipsoid,
  PHANTOM_MODALITIES,
  PHANTOM_STRUCTURES,
  type PhantomVolume,
} from './phantom_volumes_plan.ts'
import { randomStream } from './random_stream.ts'

/**
 * What a tissue adds to the body's signal in each modality, at full contrast. Only its side tells the organ from its
 * twin; the lesion shows in the second modality alone.
 */
const CONTRAST = { body: [0, 0], organ: [0.5, -0.35], twin: [0.5, -0.35], lesion: [0.5, 0.6] } as const
/** Standard deviation of noise, the body's signal being 1. */
const NOISE = 0.12
/** Points a voxel along each axis, over which its signal is the mean: borders are partial, as a scanner's. */
const POINTS = [-0.25, 0.25]

/**
 * Image [2, Z, Y, X] and mask [Z, Y, X] of a phantom: a pure function of the parameters and the case. Signals are in
 * arbitrary units that differ between cases and drift across one, noise is a magnitude's; a mask has the tissue at
 * each voxel's centre.
 */
export function renderPhantomVolume(
  source: PhantomVolumesSource,
  phantom: PhantomVolume,
): { image: Volume; mask: Volume } {
  const { grid, position } = phantom
  const [nz, ny, nx] = grid.shape
  const voxels = nz * ny * nx
  const channels = PHANTOM_MODALITIES.length
  const image = new Int16Array(channels * voxels)
  const mask = new Uint8Array(voxels)
  const random = randomStream(source.seed, 'signal', phantom.case_id)
  const gain = [random.between(250, 900), random.between(250, 900)]
  const drift = [0, 1, 2].map(() => random.between(-0.0015, 0.0015))
  const contrast = 1 - source.difficulty
  const tissueAt = tissues(phantom)
  const [a, b, c, d, e, f, g, h, i, j, k, l] = grid.affine as number[] as Twelve
  const at = (z: number, y: number, x: number): [number, number, number] => [
    a * z + b * y + c * x + d - position[0],
    e * z + f * y + g * x + h - position[1],
    i * z + j * y + k * x + l - position[2],
  ]
  let n = 0
  for (let z = 0; z < nz; z++)
    for (let y = 0; y < ny; y++)
      for (let x = 0; x < nx; x++, n++) {
        const centre = at(z, y, x)
        const tissue = tissueAt(...centre)
        mask[n] =
          tissue === 'organ' ? PHANTOM_STRUCTURES.Organ : tissue === 'lesion' ? PHANTOM_STRUCTURES.Lesion : 0
        const signal = [0, 0]
        for (const dz of POINTS)
          for (const dy of POINTS)
            for (const dx of POINTS) {
              const found = tissueAt(...at(z + dz, y + dy, x + dx))
              if (found === null) continue
              for (let m = 0; m < channels; m++) signal[m]! += (1 + contrast * CONTRAST[found][m]!) / 8
            }
        const uneven = 1 + drift[0]! * centre[0] + drift[1]! * centre[1] + drift[2]! * centre[2]
        for (let m = 0; m < channels; m++) {
          const real = signal[m]! * uneven + NOISE * random.normal()
          const imaginary = NOISE * random.normal()
          image[m * voxels + n] = Math.round(gain[m]! * Math.sqrt(real * real + imaginary * imaginary))
        }
      }
  return { image: { ...grid, data: image, channels }, mask: { ...grid, data: mask, channels: 1 } }
}

type Twelve = [number, number, number, number, number, number, number, number, number, number, number, number]
type Tissue = keyof typeof CONTRAST

/** The innermost tissue at a point of the body's frame, in mm; null outside. */
function tissues({ body, organ, twin, lesion }: PhantomVolume) {
  return (r: number, a: number, s: number): Tissue | null => {
    if (!isInside(body, r, a, s)) return null
    if (lesion !== null && isInside(lesion, r, a, s)) return 'lesion'
    if (isInside(organ, r, a, s)) return 'organ'
    return isInside(twin, r, a, s) ? 'twin' : 'body'
  }
}

function isInside({ centre, radii }: Ellipsoid, r: number, a: number, s: number): boolean {
  const [u, v, w] = [(r - centre[0]) / radii[0], (a - centre[1]) / radii[1], (s - centre[2]) / radii[2]]
  return u * u + v * v + w * w <= 1
}
