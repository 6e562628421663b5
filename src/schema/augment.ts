import { z } from 'zod'

const p = (value: number) => z.number().min(0).max(1).default(value)

/**
 * Random augmentation on the training device, drawn per sample position. Each key off at 0. The defaults are mild and
 * mirror nothing: they suit small data sets and short trainings (docs/experiments.md), and a heart stays on its side.
 */
export const Augment = z.strictObject({
  flip_x: p(0).describe('Probability of a left-right flip; for images whose sides are alike in meaning.'),
  flip_y: p(0).describe('Probability of an up-down flip.'),
  rotate90: p(0).describe('Probability of a random 90-degree turn; for tiles without an up.'),
  rotate_degrees: z.number().min(0).max(180).default(3).describe('Largest rotation either way.'),
  scale: z.number().min(0).lt(1).default(0.05).describe('Zoom drawn from 1 - s to 1 + s.'),
  translate: z.number().min(0).lt(1).default(0.02).describe('Largest shift, as a share of the side.'),
  crop: z
    .number()
    .gt(0)
    .max(1)
    .default(1)
    .describe('Smallest share of the area kept by a random resized crop; 1 is off.'),
  brightness: z
    .number()
    .min(0)
    .max(1)
    .default(0.05)
    .describe('Largest additive change, in units of the 0..1 range.'),
  contrast: z.number().min(0).lt(1).default(0.1).describe('Contrast factor drawn from 1 - c to 1 + c.'),
  saturation: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe('Saturation factor drawn from 1 - s to 1 + s; RGB only.'),
  hue: z.number().min(0).max(0.5).default(0).describe('Largest hue shift, in turns; RGB only.'),
})
export type Augment = z.infer<typeof Augment>

export const NO_AUGMENT: Augment = {
  flip_x: 0,
  flip_y: 0,
  rotate90: 0,
  rotate_degrees: 0,
  scale: 0,
  translate: 0,
  crop: 1,
  brightness: 0,
  contrast: 0,
  saturation: 0,
  hue: 0,
}
