import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { ellipsoid } from '../src/evaluate/masks_fixture.ts'
import { measureMasks } from '../src/evaluate/measure_masks.ts'

/**
 * Dice, surface Dice and HD95 of a predicted organ and its reference, as a ratio to MONAI's compute_dice,
 * compute_surface_dice and compute_hausdorff_distance on one thread, in the same run. `node bench/masks.ts`
 */
const ROUNDS = 3
const python = join(import.meta.dirname, '../.venv/bin/python')

const cases = [
  { name: '155 × 240 × 240, a tumour', shape: [155, 240, 240], radii: [18, 25, 30] },
  { name: '200 × 400 × 400, a liver', shape: [200, 400, 400], radii: [55, 95, 110] },
] as const
const spacing_mm = [1.5, 0.8, 0.8] as const

const best = cases.map(() => ({ ours: Infinity, monai: Infinity }))
// Rounds alternate, and the best of each counts: a busy machine then slows both alike.
for (let round = 0; round < ROUNDS; round++) {
  const input = cases.map(({ shape, radii }) => ({ shape, radii, spacing_mm }))
  const lines = execFileSync(python, [join(import.meta.dirname, 'masks.py')], {
    input: JSON.stringify(input),
    encoding: 'utf8',
  })
  const monai = lines
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { seconds: number; dice: number; surface_dice: number })
  for (const [i, { shape, radii }] of cases.entries()) {
    const weights = [1 / radii[0] ** 2, 1 / radii[1] ** 2, 1 / radii[2] ** 2] as const
    const middle = [shape[0] / 2, shape[1] / 2, shape[2] / 2] as const
    const reference = ellipsoid(shape, middle, weights, 1)
    const prediction = ellipsoid(shape, [middle[0] + 2, middle[1], middle[2] + 3], weights, 1)
    const entry = best[i]!
    const start = performance.now()
    const { organ } = measureMasks({ reference, prediction, shape, spacing_mm }, { organ: [1] }, 1).per_label
    entry.ours = Math.min(entry.ours, (performance.now() - start) / 1000)
    entry.monai = Math.min(entry.monai, monai[i]!.seconds)
    for (const metric of ['dice', 'surface_dice'] as const)
      if (Math.abs(organ![metric]! - monai[i]![metric]) > 1e-4)
        throw new Error(`${metric}: ${organ![metric]} is not ${monai[i]![metric]}`)
  }
}
for (const [i, { name }] of cases.entries()) {
  const { ours, monai } = best[i]!
  const seconds = { ours: Number(ours.toFixed(3)), monai: Number(monai.toFixed(3)) }
  console.log(JSON.stringify({ masks: name, times_monais_speed: Number((monai / ours).toFixed(2)), seconds }))
}
