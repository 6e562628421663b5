import { z } from 'zod'
import { Augment } from './augment.ts'
import { DataConfig } from './data.ts'
import { Model, VOLUME_MODELS } from './model.ts'
import { Intensity, Orientation, SpacingMm, StainNormalization } from './preprocess.ts'
import { Task } from './task.ts'
import { SEGMENT_LOSSES, TrainConfig } from './train.ts'

const side = z.int().positive().max(16_384)
const size = z.union([side, z.tuple([side, side])])

/** The recipe's `prepare` of 2D images: what `ImageSpec` is resolved from. */
export const ImagePrepare = z.strictObject({
  kind: z
    .literal('image')
    .default('image')
    .describe('Filled in by what the recipe says; need not be written.'),
  size: size.default(224).describe('n, or [y, x].'),
  channels: z
    .union([z.literal(1), z.literal(3)])
    .default(1)
    .describe('1 grey, 3 RGB.'),
  fit: z
    .enum(['squash', 'pad', 'crop'])
    .default('squash')
    .describe('Aspect ratio: ignored, kept with padding, kept with a central crop.'),
  resample: z.enum(['bilinear', 'bicubic']).default('bilinear'),
  antialias: z.boolean().default(true),
  pad_value: z.int().min(0).max(255).default(0),
  window: z
    .union([
      z.literal('auto'),
      z
        .strictObject({ low: z.number(), high: z.number() })
        .refine((w) => w.high > w.low, 'high must exceed low'),
    ])
    .default('auto')
    .describe(
      'Source values mapped to the stored range. auto: 8-bit as is; DICOM by its own window; else 0 to the next 2^n - 1 over a sample.',
    ),
  exif_orientation: z.boolean().default(true),
  flip: z.array(z.enum(['y', 'x'])).default([]),
  channel_order: z.enum(['rgb', 'bgr']).default('rgb'),
  stain: z
    .union([z.literal('none'), z.enum(['reinhard', 'macenko']), StainNormalization])
    .default('none')
    .describe('By name: towards the published target of the method.'),
  dtype: z
    .enum(['auto', 'uint8', 'int16'])
    .default('auto')
    .describe('Stored type. auto: uint8 for 8-bit sources, int16 above.'),
  normalize: z
    .union([
      z.enum(['dataset', 'imagenet', 'none']),
      z.strictObject({ mean: z.array(z.number()), std: z.array(z.number().positive()) }),
    ])
    .default('dataset')
    .describe(
      "First node of the network: dataset = the training split's mean and std. Not part of the stored pixels.",
    ),
  shard_mb: z.number().positive().max(2000).default(64).describe('Largest shard, MB.'),
})
export type ImagePrepare = z.infer<typeof ImagePrepare>

const intensityName = z.enum(['none', 'zscore', 'nonzero_zscore', 'percentile'])
const intensity = z.union([intensityName, Intensity])
/** The same of volumes, for `VolumeSpec`. */
export const VolumePrepare = z.strictObject({
  kind: z.literal('volume'),
  orientation: Orientation.default('RAS').describe('What x, y and z of the stored array point to.'),
  spacing_mm: z
    .union([z.enum(['auto', 'source']), SpacingMm])
    .default('auto')
    .describe("[z, y, x] in mm. auto: the median of a sample; source: each case's own."),
  resample: z
    .enum(['linear', 'cubic'])
    .default('linear')
    .describe('Of images; masks take the nearest voxel.'),
  crop: z.enum(['none', 'foreground']).default('none').describe('To the box of voxels that are not 0.'),
  size: z
    .tuple([side, side, side])
    .nullable()
    .default(null)
    .describe(
      '[z, y, x] of every case, cropped or padded about the centre; classification needs it, and prepare says which would do.',
    ),
  intensity: z
    .union([z.literal('auto'), intensity, z.array(intensity).min(1)])
    .default('auto')
    .describe(
      'One, or one a channel. auto: CT windowed to the 0.5 and 99.5 percentiles within masks; else nonzero_zscore where most of the margin is 0, or zscore.',
    ),
  dtype: z
    .enum(['auto', 'uint8', 'int16', 'float16', 'float32'])
    .default('auto')
    .describe('Stored type. auto: int16 for a window on every channel, else float16.'),
  normalize: z
    .enum(['auto', 'dataset', 'none'])
    .default('auto')
    .describe("First node of the network. auto: the training split's mean and std of windowed channels."),
  compression: z
    .enum(['none', 'deflate'])
    .default('none')
    .describe(
      'Of the shards. deflate saves disk and costs reading time: docs/guides/volumes.md has figures.',
    ),
})
export type VolumePrepare = z.infer<typeof VolumePrepare>

export const PrepareConfig = z.discriminatedUnion('kind', [ImagePrepare, VolumePrepare])
export type PrepareConfig = z.infer<typeof PrepareConfig>

export const THRESHOLD_METRICS = [
  'sensitivity',
  'specificity',
  'precision',
  'f1',
  'balanced_accuracy',
  'youden',
] as const
const thresholdMetric = z.enum(THRESHOLD_METRICS)
export const OperatingPointRule = z.strictObject({
  maximize: thresholdMetric.default('youden'),
  subject_to: z
    .partialRecord(thresholdMetric, z.number().min(0).max(1))
    .default({})
    .describe('Least value of other metrics.'),
})
export type OperatingPointRule = z.infer<typeof OperatingPointRule>

export const EvaluateConfig = z.strictObject({
  operating_point: OperatingPointRule.prefault({}),
  bootstrap: z
    .int()
    .min(100)
    .max(1_000_000)
    .default(2000)
    .describe('Patient-clustered resamples behind each interval.'),
  confidence: z.number().gt(0.5).lt(1).default(0.95),
  seed: z.int().min(0).default(0),
  subgroups: z.array(z.string()).default([]).describe('Attributes whose groups get metrics of their own.'),
  surface_tolerance_mm: z
    .number()
    .positive()
    .default(1)
    .describe('Distance at which two surfaces still agree, for surface Dice. Segmentation only.'),
  mirror: z
    .union([z.enum(['auto', 'none']), z.array(z.enum(['z', 'y', 'x'])).min(1)])
    .default('auto')
    .describe(
      'Axes along which inputs are mirrored and the results averaged. auto: what is better on validation. Segmentation only.',
    ),
  largest_component: z
    .union([z.literal('auto'), z.boolean()])
    .default('auto')
    .describe(
      'Keep the largest connected piece of each structure. auto: where better on validation. Segmentation only.',
    ),
})
export type EvaluateConfig = z.infer<typeof EvaluateConfig>

export const PackageConfig = z.strictObject({
  checkpoint: z.enum(['best', 'latest']).default('best'),
  certify_cases: z
    .int()
    .min(1)
    .default(64)
    .describe('Validation cases whose raw files are scored again for the certificate.'),
  tolerance: z.number().positive().default(1e-4).describe('Largest difference in probability.'),
})

export const LocalLaunch = z.strictObject({
  kind: z.literal('local'),
  nodes: z.literal(1).default(1),
  processes_per_node: z
    .union([z.literal('auto'), z.int().positive().max(1024)])
    .default('auto')
    .describe('Ranks; auto: one an accelerator, else one.'),
  watchdog_seconds: z
    .number()
    .positive()
    .max(1_000_000)
    .default(600)
    .describe('Silence after which a rank counts as hung.'),
})
export const Launch = z.discriminatedUnion('kind', [LocalLaunch])
export type Launch = z.infer<typeof Launch>

type Parts = {
  data: DataConfig
  task: Task
  prepare: PrepareConfig
  augment: Augment
  model: Model
  train: TrainConfig
  evaluate: EvaluateConfig
}

/** Keys that do not go together: a value nobody reads would be believed to do something. */
function misfits({
  data,
  task,
  prepare,
  augment,
  model,
  train,
  evaluate,
}: Parts): { path: string[]; message: string }[] {
  const found: { path: string[]; message: string }[] = []
  const add = (path: string, message: string) => found.push({ path: path.split('.'), message })
  const isVolume = prepare.kind === 'volume'
  const isVolumeModel = VOLUME_MODELS.some((kind) => 'kind' in model && kind === model.kind)
  if (data.source.kind === 'csv') {
    const { labels, mask, masks_dir } = data.source
    const isSegment = task.kind === 'segment'
    if (isSegment && mask === undefined)
      add('data.source.mask', 'is missing: segment needs a column of masks')
    if (isSegment && labels !== undefined)
      add('data.source.labels', 'is for classification; what values of masks mean, task.labels says')
    if (!isSegment && labels === undefined)
      add('data.source.labels', 'is missing: classification needs columns of labels')
    if (!isSegment && (mask ?? masks_dir) !== undefined)
      add(`data.source.${mask === undefined ? 'masks_dir' : 'mask'}`, 'is for segmentation')
  }
  if (augment.kind !== prepare.kind)
    add('augment.kind', `is ${augment.kind}, but prepare.kind is ${prepare.kind}: they must be the same`)
  if (task.kind === 'segment') {
    if (!isVolume) add('prepare.kind', 'is image, but segment takes volumes; of 2D images too: leave it out')
    if (!isVolumeModel || ('kind' in model && model.kind === 'resnet3d'))
      if (!('file' in model))
        add('model.kind', 'segment needs one of unet3d, segresnet, dynunet, or a file of your own')
    if (
      train.loss !== 'auto' &&
      !SEGMENT_LOSSES.some((kind) => kind === (train.loss as { kind: string }).kind)
    )
      add('train.loss', `segment needs one of ${SEGMENT_LOSSES.join(', ')}`)
    if (!['auto', 'dice_mean', 'loss'].includes(train.select.maximize))
      add('train.select.maximize', 'segment is chosen by dice_mean or loss')
    if (isVolume && prepare.size !== null)
      add('prepare.size', 'is for classification; a segmentation takes volumes as large as they are')
  } else {
    if (isVolumeModel && !isVolume)
      add('model.kind', `${(model as { kind: string }).kind} is for volumes; these are images`)
    if (isVolume && !('file' in model) && (model as { kind: string }).kind !== 'resnet3d')
      add('model.kind', 'classification of volumes needs resnet3d, or a file of your own')
    for (const key of ['patch_size', 'foreground_fraction', 'overlap'] as const)
      if (train[key] !== 'auto') add(`train.${key}`, 'is for segmentation')
    for (const key of ['mirror', 'largest_component'] as const)
      if (evaluate[key] !== 'auto') add(`evaluate.${key}`, 'is for segmentation')
    if (
      train.loss !== 'auto' &&
      SEGMENT_LOSSES.some((kind) => kind === (train.loss as { kind: string }).kind)
    )
      add('train.loss', 'is for segmentation; use bce, cross_entropy or focal')
    if (train.select.maximize === 'dice_mean') add('train.select.maximize', 'dice_mean is for segmentation')
  }
  return found
}

/** A whole run as data. Only `name`, `data.root`, `data.source` and `task` have no default. */
export const Recipe = z
  .strictObject({
    $schema: z.string().optional(),
    name: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'letters, digits, dot, dash and underscore')
      .describe('Names the run folder.'),
    data: DataConfig,
    prepare: PrepareConfig.prefault({ kind: 'image' }),
    task: Task,
    model: Model.prefault({ kind: 'resnet18' }),
    augment: Augment.prefault({ kind: 'image' }),
    train: TrainConfig.prefault({}),
    evaluate: EvaluateConfig.prefault({}),
    package: PackageConfig.prefault({}),
    launch: Launch.prefault({ kind: 'local' }),
  })
  .superRefine(({ data, task, prepare, augment, model, train, evaluate }, context) => {
    for (const { path, message } of misfits({ data, task, prepare, augment, model, train, evaluate }))
      context.addIssue({ code: 'custom', path, message })
  })
export type Recipe = z.infer<typeof Recipe>
