import { z } from 'zod'
import { ImageSpec } from './preprocess.ts'
import { OperatingPointRule } from './recipe.ts'

const size = z.union([z.int().positive(), z.tuple([z.int().positive(), z.int().positive()])])
const { fit, resample, antialias, pad_value, window, exif_orientation, flip, channel_order, stain } =
  ImageSpec.shape

/**
 * How another tool's ONNX model wants its images: the file behind `package --preprocess`. Whatever would change a
 * score has no default and is asked for; a key is optional only where it cannot matter.
 */
export const OnnxSpec = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'letters, digits, dot, dash and underscore'),
  version: z.string().default('1'),
  labels: z
    .array(z.string().min(1))
    .min(1)
    .describe('findings or classes, in the order of the network outputs'),
  exclusive: z
    .boolean()
    .describe('true: exactly one label holds (multi-class); false: each is present or absent by itself'),
  activation: z
    .enum(['sigmoid', 'softmax', 'none'])
    .describe('what turns outputs into probabilities; none when the graph ends with it'),
  preprocess: z.strictObject({
    size: size.describe('n or [rows, columns] of the network input'),
    channels: ImageSpec.shape.channels.describe('1 grey, 3 RGB; grey images are repeated'),
    fit: fit.describe('squash: aspect ratio ignored; pad: kept, filled; crop: kept, centre cut out'),
    resample: resample.describe('bilinear or bicubic, as Pillow computes them'),
    antialias: antialias.describe(
      'true: the filter widens when shrinking (Pillow, torchvision on PIL images); false: it does not (OpenCV)',
    ),
    pad_value: pad_value.optional().describe('fill of fit: pad, 0..255'),
    window: window.describe(
      'null: 8-bit values as they are, DICOM by its own window; { low, high }: source values mapped to the input range',
    ),
    exif_orientation: exif_orientation.describe('true: images are turned as their EXIF tag says'),
    flip: flip.describe('array axes reversed, [] for none'),
    channel_order: channel_order.optional().describe('rgb, or bgr for models trained through OpenCV'),
    stain: stain.optional().describe('stain normalisation of RGB tiles, null for none'),
  }),
  input: z
    .strictObject({
      range: z
        .tuple([z.number(), z.number()])
        .describe('what black and white are before mean and std: [0, 1], [0, 255] or [-1, 1]'),
      mean: z.array(z.number()).min(1).describe('subtracted per channel, in units of range; [0] for none'),
      std: z
        .array(z.number().positive())
        .min(1)
        .describe('divided by per channel, in units of range; [1] for none'),
    })
    .optional()
    .describe('for graphs with a float32 input; graphs that read uint8 or int16 normalise inside'),
  operating_point: OperatingPointRule.optional().describe(
    'how thresholds are chosen on reference cases that have truth_<label> columns',
  ),
  thresholds: z
    .record(z.string(), z.number().min(0).max(1))
    .optional()
    .describe('label → threshold that the model is used with, instead of choosing one'),
  tolerance: z.number().positive().default(1e-4).describe('largest difference in probability'),
  synthetic: z.boolean().default(false).describe('trained on synthetic images'),
})
export type OnnxSpec = z.infer<typeof OnnxSpec>
