import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { planGrid } from '../src/imaging/geometry/grid.ts'
import { resample } from '../src/imaging/geometry/resample.ts'
import { restoreLabels } from '../src/imaging/geometry/restore.ts'
import { noiseVolume } from '../src/imaging/testing/grids.ts'
import type { Affine, Triple } from '../src/imaging/volume.ts'

/**
 * Orientation and linear resampling of a 155×240×240 × 4-channel volume to [2.0, 1.5, 1.5] mm, as a ratio to MONAI's
 * Orientationd and Spacingd in float32 on one thread, by CPU time in the same run; then the way back of 4 classes' probabilities.
 * `node bench/resample.ts`
 */
const ROUNDS = 3
const REPEATS = 4
const python = join(import.meta.dirname, '../.venv/bin/python')

const shape: Triple = [155, 240, 240]
const cases: { name: string; affine: Affine }[] = [
  { name: 'LPS, both axes flipped', affine: [0, 0, -1, 120, 0, -1, 0, 120, 1, 0, 0, -70, 0, 0, 0, 1] },
  { name: 'x and z exchanged', affine: [1, 0, 0, -70, 0, -1, 0, 120, 0, 0, 1, -110, 0, 0, 0, 1] },
]
const request = { orientation: 'RAS', spacing_mm: [2, 1.5, 1.5] as Triple }

const best = cases.map(() => ({ ours: Infinity, monai: Infinity, restore: Infinity }))
// Rounds alternate, and the best of each counts: a busy machine then slows both alike.
for (let round = 0; round < ROUNDS; round++) {
  const input = cases.map(({ affine }) => ({ channels: 4, shape, affine, ...request, repeats: REPEATS }))
  const lines = execFileSync(python, [join(import.meta.dirname, 'resample.py')], {
    input: JSON.stringify(input),
    encoding: 'utf8',
  })
  const monai = lines
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { seconds: number; shape: number[] })
  for (const [i, { affine }] of cases.entries()) {
    const volume = noiseVolume({ shape, affine }, 4)
    const grid = planGrid(volume, request)
    if (String(grid.shape) !== String(monai[i]!.shape))
      throw new Error(`${grid.shape} is not ${monai[i]!.shape}`)
    const entry = best[i]!
    entry.monai = Math.min(entry.monai, monai[i]!.seconds)
    for (let repeat = 0; repeat < REPEATS; repeat++) {
      const start = cpuSeconds()
      const stored = resample(volume, grid, { interpolation: 'linear' })
      const between = cpuSeconds()
      restoreLabels({ ...stored, data: stored.data as Float32Array }, volume, {
        kind: 'argmax',
        values: [0, 1, 2, 3],
      })
      entry.ours = Math.min(entry.ours, between - start)
      entry.restore = Math.min(entry.restore, cpuSeconds() - between)
    }
  }
}
for (const [i, { name }] of cases.entries()) {
  const { ours, monai, restore } = best[i]!
  const round = (value: number) => Number(value.toFixed(3))
  const seconds = { ours: round(ours), monai: round(monai), restore_labels: round(restore) }
  console.log(
    JSON.stringify({ volume: name, times_monais_speed: Number((monai / ours).toFixed(2)), seconds }),
  )
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}
