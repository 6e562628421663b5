import { multiply } from '../geometry/affine.ts'
import type { Grid } from '../geometry/grid.ts'
import type { Affine, Triple, Volume } from '../volume.ts'
import { randomSource } from './samples.ts'

/** Grids of unequal axes and spacings: every order and direction of axes, straight and oblique. */
export function variedGrids(): (Grid & { name: string })[] {
  const orders: Triple[] = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ]
  return orders.flatMap((order, n) =>
    [0, 1].map((tilt) => {
      const signs = [n & 1 ? -1 : 1, n & 2 ? -1 : 1, (n + tilt) & 1 ? -1 : 1]
      const spacing: Triple = [2.7 - 0.1 * n, 0.9 + 0.05 * n, 1.3]
      const shape: Triple = [11 + n, 19, 24 - n]
      const angles: Triple = tilt === 0 ? [0, 0, 0] : [0.23, -0.31 + 0.07 * n, 0.17]
      return {
        name: `axes ${order.join('')}, signs ${signs.join(' ')}, ${tilt === 0 ? 'straight' : 'oblique'}`,
        shape,
        affine: placed(order, signs, spacing, angles),
      }
    }),
  )
}

/** Array axes (z, y, x) laid on world axes in this order, turned by the angles (radians) about X, Y and Z. */
function placed(order: Triple, signs: readonly number[], spacing: Triple, angles: Triple): Affine {
  const straight = Array<number>(16).fill(0)
  for (const [column, row] of order.entries()) straight[row * 4 + column] = signs[column]! * spacing[column]!
  straight[15] = 1
  const [a, b, c] = angles.map((angle) => [Math.cos(angle), Math.sin(angle)] as const) as [Turn, Turn, Turn]
  const turned = [
    [1, 0, 0, 0, 0, a[0], -a[1], 0, 0, a[1], a[0], 0, 0, 0, 0, 1],
    [b[0], 0, b[1], 0, 0, 1, 0, 0, -b[1], 0, b[0], 0, 0, 0, 0, 1],
    [c[0], -c[1], 0, 0, c[1], c[0], 0, 0, 0, 0, 1, 0, 0, 0, 0, 1],
  ].reduce<Affine>((before, turn) => multiply(before, turn), IDENTITY)
  const affine = [...multiply(turned, straight)]
  affine[3] = -31.25
  affine[7] = 17.5
  affine[11] = 203.75
  return affine
}

const IDENTITY: Affine = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]

type Turn = readonly [number, number]

/** Noise in -1..1, a different one in each channel. */
export function noiseVolume(
  { shape, affine }: Grid,
  channels: number,
  seed = 1,
): Volume & { data: Float32Array } {
  const next = randomSource(seed)
  const data = Float32Array.from(
    { length: channels * shape[0] * shape[1] * shape[2] },
    () => next() / 2 ** 31 - 1,
  )
  return { data, channels, shape, affine }
}
