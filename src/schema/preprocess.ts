import { z } from 'zod'

/** Version of the code behind `preprocess`: raise it whenever the stored bytes of any input change. */
export const PREPROCESS_CODE_VERSION = 2

export const StainNormalization = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('reinhard'),
    target_mean: z
      .tuple([z.number(), z.number(), z.number()])
      .describe('Mean of l, alpha, beta of the target stain.'),
    target_std: z
      .tuple([z.number(), z.number(), z.number()])
      .describe('Standard deviation of l, alpha, beta of the target stain.'),
  }),
  z.strictObject({
    kind: z.literal('macenko'),
    target_stains: z
      .tuple([z.tuple([z.number(), z.number(), z.number()]), z.tuple([z.number(), z.number(), z.number()])])
      .describe('Optical-density RGB unit vectors of haematoxylin and eosin in the target.'),
    target_max: z
      .tuple([z.number(), z.number()])
      .describe('99th percentile of each stain concentration in the target.'),
  }),
])

/**
 * Everything that turns a file's bytes into the stored tensor, complete: no key has a default here, so that a
 * package read in ten years means the same. `preprocess(bytes, spec)` in `src/imaging` is its only reader.
 */
export const ImageSpec = z.strictObject({
  kind: z.literal('image').describe('2D image.'),
  size: z
    .tuple([z.int().positive(), z.int().positive()])
    .describe('Rows and columns [y, x] of the stored tensor.'),
  channels: z
    .union([z.literal(1), z.literal(3)])
    .describe('1 grey (ITU-R 601 luma of RGB), 3 RGB (grey is repeated).'),
  fit: z
    .enum(['squash', 'pad', 'crop'])
    .describe('Aspect ratio: ignored, kept with symmetric padding, kept with a central crop.'),
  resample: z.enum(['bilinear', 'bicubic']).describe("Resize filter, antialiased, equal to Pillow's."),
  antialias: z
    .boolean()
    .describe('Widen the filter when shrinking, as Pillow does. False reproduces models trained without.'),
  pad_value: z.int().min(0).max(255).describe('Fill of `fit: pad`, as a fraction n/255 of the stored range.'),
  window: z
    .strictObject({ low: z.number(), high: z.number() })
    .refine((w) => w.high > w.low, 'window.high must exceed window.low')
    .nullable()
    .describe(
      'Source values mapped linearly to the whole stored range and clipped; null keeps 8-bit values as they are and shows DICOM by its own window.',
    ),
  exif_orientation: z.boolean().describe('Turn the image as its EXIF tag says.'),
  flip: z
    .array(z.enum(['y', 'x']))
    .describe('Array axes reversed after decoding, for models trained on mirrored arrays.'),
  channel_order: z
    .enum(['rgb', 'bgr'])
    .describe('Order of stored channels; bgr for models trained through OpenCV.'),
  stain: StainNormalization.nullable().describe('Stain normalisation of RGB tiles, applied before resizing.'),
  dtype: z.enum(['uint8', 'int16']).describe('Stored type. int16 maps the window to -32768..32767.'),
})
export type ImageSpec = z.infer<typeof ImageSpec>

const percent = z.number().min(0).max(100)
/** How a channel's values are made comparable, on the stored grid. */
export const Intensity = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('none').describe('Values as they are.') }),
  z.strictObject({
    kind: z.literal('zscore').describe('Mean 0, standard deviation 1 over all voxels of the case.'),
  }),
  z.strictObject({
    kind: z.literal('nonzero_zscore').describe('The same over voxels that are not 0; zeros stay 0.'),
  }),
  z
    .strictObject({
      kind: z.literal('percentile').describe('Clipped to two percentiles of the case, then its z-score.'),
      low: percent.default(0.5),
      high: percent.default(99.5),
    })
    .refine(({ low, high }) => high > low, 'high must exceed low'),
  z
    .strictObject({
      kind: z.literal('window').describe('The same source values in every case mapped to 0..1 and clipped.'),
      low: z.number(),
      high: z.number(),
    })
    .refine(({ low, high }) => high > low, 'high must exceed low'),
])
export type Intensity = z.infer<typeof Intensity>

const spacing = z.number().positive().max(1000)
export const SpacingMm = z.tuple([spacing, spacing, spacing])
/** 'RAS': array axis x grows to the Right, y to Anterior, z to Superior. */
export const Orientation = z
  .string()
  .regex(
    /^(?=.*[RL])(?=.*[AP])(?=.*[SI])[RLAPSI]{3}$/,
    'three letters, one each of R/L, A/P and S/I, e.g. RAS',
  )

/**
 * A volume, complete as `ImageSpec` is: oriented, resampled, cropped, and its values normalised, in this order.
 * `preprocessVolume(files, spec)` in `src/imaging` is its only reader.
 */
export const VolumeSpec = z.strictObject({
  kind: z.literal('volume'),
  channels: z.int().positive().max(64),
  orientation: Orientation.describe('What x, y and z of the stored array point to.'),
  spacing_mm: SpacingMm.nullable().describe('[z, y, x] of the stored grid; null keeps that of the source.'),
  resample: z.enum(['linear', 'cubic']).describe('Of images; masks take the nearest voxel.'),
  crop: z.enum(['none', 'foreground']).describe('To the box of voxels that are not 0 in some channel.'),
  size: z
    .tuple([z.int().positive(), z.int().positive(), z.int().positive()])
    .nullable()
    .describe(
      '[z, y, x] cropped or padded to, about the centre, for networks of fixed input; null: as large as it is.',
    ),
  intensity: z.array(Intensity).min(1).describe('One a channel.'),
  dtype: z
    .enum(['uint8', 'int16', 'float16', 'float32'])
    .describe('Stored type. int16 and uint8 map 0..1 of a window to their range.'),
  distance_unit: z
    .literal('px')
    .exactOptional()
    .describe(
      'Of 2D images without a place in a patient, each a volume of one slice: spacing_mm and all lengths count pixels. Absent: mm.',
    ),
  bits: z
    .union([z.literal(8), z.literal(16)])
    .exactOptional()
    .describe(
      'Of a sample of such an image; a file of another depth is refused. Absent: of volumes, and of sets and packages made before this was noted.',
    ),
})
export type VolumeSpec = z.infer<typeof VolumeSpec>

export const PreprocessSpec = z.discriminatedUnion('kind', [ImageSpec, VolumeSpec])
export type PreprocessSpec = z.infer<typeof PreprocessSpec>

/**
 * The first node of the network's graph, in training and in ONNX: value = (stored + offset) * scale, then
 * (value - mean) / std per channel. Values of integers are in 0..1.
 */
export const InputNormalization = z.strictObject({
  offset: z.number().describe('Added to the stored value: 32768 for int16, else 0.'),
  scale: z.number().positive().describe('1/255 for uint8, 1/65535 for int16, 1 for floats.'),
  mean: z.array(z.number()).min(1).describe('Per channel, of scaled values.'),
  std: z.array(z.number().positive()).min(1).describe('Per channel, of scaled values.'),
})
export type InputNormalization = z.infer<typeof InputNormalization>
