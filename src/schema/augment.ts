import { z } from 'zod'

const p = (value: number) => z.number().min(0).max(1).default(value).describe('Probability.')

/**
 * Random augmentation on the training device, drawn per sample position. Each key off at 0. The defaults are mild and
 * mirror nothing: they suit small data sets and short trainings (docs/experiments.md), and a heart stays on its side.
 */
export const ImageAugment = z.strictObject({
  kind: z
    .literal('image')
    .default('image')
    .describe('Filled in by what the recipe says; need not be written.'),
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
export type ImageAugment = z.infer<typeof ImageAugment>

/**
 * The same of volumes. Probabilities are per sample; each transform is off at probability 0. The defaults are those of
 * nnU-Net's training (Isensee et al., Nature Methods 18, 2021, Supplementary Note 2), but for flips: sides have a
 * meaning in most volumes.
 */
export const VolumeAugment = z.strictObject({
  kind: z.literal('volume'),
  flip: z
    .array(z.enum(['z', 'y', 'x']))
    .default([])
    .describe('Axes mirrored, each with probability 0.5.'),
  rotate: p(0.2),
  rotate_degrees: z
    .number()
    .min(0)
    .max(180)
    .default(30)
    .describe('Largest angle about each axis; of patches much flatter along z, about z alone.'),
  scale: p(0.2),
  scale_range: z
    .tuple([z.number().positive(), z.number().positive()])
    .default([0.7, 1.4])
    .describe('Zoom factor.'),
  elastic: p(0),
  elastic_mm: z
    .number()
    .min(0)
    .default(4)
    .describe('Standard deviation of the displacement of control points, in mm of the stored spacing.'),
  noise: p(0.1),
  noise_std: z
    .number()
    .min(0)
    .default(0.1)
    .describe('Largest standard deviation of Gaussian noise, after normalisation.'),
  blur: p(0.2),
  blur_sigma: z
    .tuple([z.number().min(0), z.number().min(0)])
    .default([0.5, 1])
    .describe('In voxels.'),
  brightness: p(0.15),
  brightness_range: z
    .tuple([z.number().positive(), z.number().positive()])
    .default([0.75, 1.25])
    .describe('Factor.'),
  shift: p(0).describe('Probability of adding a constant to a channel.'),
  shift_std: z
    .number()
    .min(0)
    .default(0.1)
    .describe('Standard deviation of that constant, after normalisation.'),
  contrast: p(0.15),
  contrast_range: z
    .tuple([z.number().positive(), z.number().positive()])
    .default([0.75, 1.25])
    .describe('Factor about the mean; values stay in their range.'),
  low_resolution: p(0.25),
  low_resolution_range: z
    .tuple([z.number().gt(0).max(1), z.number().gt(0).max(1)])
    .default([0.5, 1])
    .describe('Share of the resolution kept, sampled back by cubic interpolation.'),
  gamma: p(0.3),
  gamma_range: z
    .tuple([z.number().positive(), z.number().positive()])
    .default([0.7, 1.5])
    .describe('Exponent.'),
})
export type VolumeAugment = z.infer<typeof VolumeAugment>

export const Augment = z.discriminatedUnion('kind', [ImageAugment, VolumeAugment])
export type Augment = z.infer<typeof Augment>

export const NO_AUGMENT: ImageAugment = {
  kind: 'image',
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
