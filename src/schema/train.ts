import { z } from 'zod'

const beta = z.number().min(0).lt(1)
export const Optimizer = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('adamw'),
    betas: z.tuple([beta, beta]).default([0.9, 0.999]),
    eps: z.number().positive().default(1e-8),
    weight_decay: z.number().min(0).default(0.01).describe('Decoupled; not applied to biases and norms.'),
  }),
  z.strictObject({
    kind: z.literal('sgd'),
    momentum: z.number().min(0).lt(1).default(0.9),
    nesterov: z.boolean().default(true),
    weight_decay: z.number().min(0).default(1e-4),
  }),
])
export const Loss = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('bce'),
    pos_weight: z
      .union([z.enum(['none', 'auto']), z.array(z.number().positive())])
      .default('none')
      .describe('auto: negatives / positives of the training split per label, at most 100.'),
  }),
  z.strictObject({
    kind: z.literal('cross_entropy'),
    class_weight: z
      .union([z.enum(['none', 'auto']), z.array(z.number().positive())])
      .default('none')
      .describe('auto: inverse class frequency, 1 on average over the training cases, at most 100.'),
    label_smoothing: z.number().min(0).lt(1).default(0),
  }),
  z.strictObject({
    kind: z.literal('focal'),
    gamma: z.number().min(0).default(2),
    alpha: z
      .number()
      .min(0)
      .max(1)
      .nullable()
      .default(null)
      .describe('Weight of positives; null weighs both alike.'),
  }),
  z.strictObject({
    kind: z
      .literal('dice')
      .describe('1 - soft Dice, a structure and sample at a time (Milletari et al., 3DV 2016).'),
    batch: z.boolean().default(false).describe('Over all samples of the batch as if they were one.'),
    background: z.boolean().default(false).describe('Count background as a structure; labels only.'),
  }),
  z.strictObject({
    kind: z.literal('dice_ce').describe('Dice plus cross-entropy, binary for regions.'),
    batch: z.boolean().default(false),
    background: z.boolean().default(false),
    ce_weight: z.number().min(0).default(1),
  }),
  z.strictObject({
    kind: z
      .literal('generalized_dice')
      .describe('Structures weighed by 1 / volume² (Sudre et al., DLMIA 2017).'),
    background: z.boolean().default(true),
  }),
])
export const SEGMENT_LOSSES = ['dice', 'dice_ce', 'generalized_dice'] as const
const warmup = z.number().min(0).lt(1).default(0).describe('Share of all steps spent in linear warm-up.')
export const Schedule = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('constant'), warmup }),
  z.strictObject({
    kind: z.literal('cosine'),
    warmup: warmup.default(0.05),
    min_lr_fraction: z
      .number()
      .min(0)
      .max(1)
      .default(0.01)
      .describe('Final learning rate as a share of the peak.'),
  }),
  z.strictObject({
    kind: z.literal('step'),
    warmup,
    milestones: z
      .array(z.number().gt(0).lt(1))
      .default([0.6, 0.85])
      .describe('Shares of all steps at which the rate drops.'),
    factor: z.number().gt(0).lt(1).default(0.1),
  }),
  z.strictObject({
    kind: z.literal('plateau'),
    warmup,
    factor: z.number().gt(0).lt(1).default(0.1).describe('CheXNet divides by 10.'),
    patience: z
      .int()
      .min(0)
      .max(100_000)
      .default(1)
      .describe('Validations without improvement before the rate drops.'),
  }),
  z.strictObject({
    kind: z.literal('one_cycle'),
    warmup: warmup.default(0.3),
    start_fraction: z.number().gt(0).max(1).default(0.04),
    end_fraction: z.number().min(0).max(1).default(1e-4),
  }),
])
export const SELECTION_METRICS = [
  'auroc_mean',
  'average_precision_mean',
  'balanced_accuracy',
  'f1_mean',
  'accuracy',
  'dice_mean',
  'loss',
] as const

const autoOr = <T extends z.ZodType>(t: T) => z.union([z.literal('auto'), t])

const patchSide = z.int().positive().max(4096)
/** The recipe's `train`. */
export const TrainConfig = z.strictObject({
  epochs: z.number().positive().max(100_000).default(10).describe('Passes over the training split.'),
  global_batch: autoOr(z.int().positive().max(1_000_000))
    .default('auto')
    .describe(
      'Samples per step, summed over ranks and accumulation. auto: 32 images; of volumes 2 to 8 crops.',
    ),
  accumulate: z
    .int()
    .positive()
    .max(100_000)
    .default(1)
    .describe('Backward passes per optimizer update; divides the per-rank batch.'),
  lr: z.number().positive().default(1e-3).describe('Peak learning rate after warm-up.'),
  optimizer: Optimizer.prefault({ kind: 'adamw' }),
  loss: z
    .union([z.literal('auto'), Loss])
    .default('auto')
    .describe('auto: bce, or cross_entropy when labels are exclusive; dice_ce for segmentation.'),
  schedule: Schedule.prefault({ kind: 'cosine' }),
  clip_norm: z.number().positive().nullable().default(1).describe('Largest gradient norm; null is off.'),
  ema: z
    .number()
    .gt(0)
    .lt(1)
    .nullable()
    .default(null)
    .describe('Decay of the averaged weights that are validated and exported; null is off.'),
  early_stopping: z
    .strictObject({ patience: z.int().positive().max(100_000).describe('Validations without improvement.') })
    .nullable()
    .default(null),
  select: z
    .strictObject({
      maximize: z
        .enum(['auto', ...SELECTION_METRICS])
        .default('auto')
        .describe(
          'Validation metric that names the best checkpoint; loss is minimised. auto: auroc_mean, or dice_mean for segmentation.',
        ),
    })
    .prefault({}),
  validate_every: z.number().positive().max(100_000).default(1).describe('Epochs between validations.'),
  checkpoint_every_minutes: z
    .number()
    .positive()
    .max(100_000)
    .default(10)
    .describe('Time between checkpoints besides those at each validation.'),
  keep_checkpoints: z
    .int()
    .positive()
    .max(100_000)
    .default(2)
    .describe('Latest checkpoints kept besides the best.'),
  patch_size: autoOr(z.tuple([patchSide, patchSide, patchSide]))
    .default('auto')
    .describe(
      '[z, y, x] voxels of a training crop and of a window. auto: from the volumes and the memory at hand.',
    ),
  foreground_fraction: autoOr(z.number().min(0).max(1))
    .default('auto')
    .describe(
      'Share of crops centred on a structure, all structures alike. auto: 0.33, as nnU-Net. Segmentation only.',
    ),
  overlap: autoOr(z.number().min(0).max(0.9))
    .default('auto')
    .describe('Of neighbouring windows, as a share of their side. auto: 0.5. Segmentation only.'),
  precision: autoOr(z.enum(['fp32', 'bf16', 'fp16']))
    .default('auto')
    .describe('auto: bf16 where the device does it well, else fp32.'),
  compile: z.boolean().default(false).describe('torch.compile the network.'),
  deterministic: z.boolean().default(false).describe('Deterministic kernels on GPU, at some cost.'),
  device: z
    .enum(['auto', 'cpu', 'cuda', 'mps'])
    .default('auto')
    .describe('auto: the accelerator, else cpu, said aloud.'),
  streams: z
    .int()
    .positive()
    .max(65_536)
    .default(64)
    .describe('Canonical sample streams; node counts that divide it read disjoint shards.'),
  shuffle_window: z.int().positive().max(65_536).default(8).describe('Shards of a stream shuffled together.'),
  sync_batch_norm: z.boolean().default(false).describe('Batch statistics over all ranks; GPU only.'),
  seed: z
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .default(0),
})
export type TrainConfig = z.infer<typeof TrainConfig>
