import { z } from 'zod'

const weights = z
  .string()
  .default('none')
  .describe(
    'none, pretrained, timm:<tag>, a path to a .safetensors file, or a run folder. Never silently random.',
  )

export const TimmModel = z.strictObject({
  kind: z
    .string()
    .refine((kind) => !VOLUME_MODELS.some((other) => other === kind), { abort: true })
    .describe('Any timm model name.'),
  weights,
  drop_rate: z.number().min(0).lt(1).default(0).describe('Dropout before the classifier.'),
  drop_path_rate: z.number().min(0).lt(1).default(0).describe('Stochastic depth.'),
})
export const MlpModel = z.strictObject({
  kind: z.literal('mlp'),
  hidden: z.array(z.int().positive()).default([512, 256]).describe('Units of each hidden layer.'),
  dropout: z.number().min(0).lt(1).default(0),
  weights,
})
export const FileModel = z.strictObject({
  file: z.string().describe('A Python file, relative to the recipe; copied into the run and hashed.'),
  name: z
    .string()
    .describe(
      'The class or function in it: called as Name(in_channels=…, num_outputs=…, size=[y, x], **args).',
    ),
  args: z.record(z.string(), z.json()).default({}),
  weights,
})
const volumeWeights = z
  .string()
  .default('none')
  .describe('none, a path to a .safetensors file, or a run folder.')
const width = z.int().positive().max(4096)
/** Residual U-Net (Kerfoot et al., STACOM 2018) as MONAI builds it. */
export const UNet3dModel = z.strictObject({
  kind: z.literal('unet3d'),
  channels: z
    .array(width)
    .min(2)
    .max(8)
    .default([16, 32, 64, 128, 256])
    .describe('Of each level; each level but the last halves the axes that are still long enough.'),
  residual_units: z
    .int()
    .min(0)
    .max(8)
    .default(2)
    .describe('Convolutions of a residual unit; 0: plain convolutions.'),
  norm: z.enum(['instance', 'batch', 'group']).default('instance'),
  dropout: z.number().min(0).lt(1).default(0),
  weights: volumeWeights,
})
/** Myronenko, BrainLes 2018, without the autoencoder branch. */
export const SegResNetModel = z.strictObject({
  kind: z.literal('segresnet'),
  init_filters: width.default(16),
  blocks_down: z.array(z.int().positive().max(16)).min(2).max(6).default([1, 2, 2, 4]),
  blocks_up: z.array(z.int().positive().max(16)).min(1).max(5).default([1, 1, 1]),
  dropout: z.number().min(0).lt(1).default(0),
  weights: volumeWeights,
})
/** nnU-Net's network (Isensee et al., Nature Methods 18, 2021), kernels and strides from patch and spacing. */
export const DynUNetModel = z.strictObject({
  kind: z.literal('dynunet'),
  base_channels: width.default(32),
  max_channels: width.default(320),
  residual: z.boolean().default(false),
  deep_supervision: z
    .int()
    .min(0)
    .max(4)
    .default(2)
    .describe('Levels below the output whose loss counts, halved each.'),
  weights: volumeWeights,
})
/** 3D ResNet for classification (Hara et al., CVPR 2018). */
export const ResNet3dModel = z.strictObject({
  kind: z.literal('resnet3d'),
  depth: z.union([z.literal(10), z.literal(18), z.literal(34), z.literal(50)]).default(18),
  base_channels: width.default(64),
  weights: volumeWeights,
})
export const VOLUME_MODELS = ['unet3d', 'segresnet', 'dynunet', 'resnet3d'] as const

/** A name, `{ kind, … }` or `{ file, name, args }`; a bare name becomes `{ kind: name }`. */
export const Model = z.union([
  MlpModel,
  FileModel,
  UNet3dModel,
  SegResNetModel,
  DynUNetModel,
  ResNet3dModel,
  TimmModel,
])
export type Model = z.infer<typeof Model>
