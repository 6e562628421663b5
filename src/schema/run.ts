import { z } from 'zod'
import { Augment } from './augment.ts'
import { InputNormalization, SpacingMm } from './preprocess.ts'
import { sha256 } from './shard_set.ts'
import { Structure } from './task.ts'
import { Loss, Optimizer, Schedule, SELECTION_METRICS } from './train.ts'

export const EngineClassify = z.strictObject({
  kind: z.literal('classify'),
  labels: z.array(z.string()),
  exclusive: z.boolean(),
})
export const EngineSegment = z.strictObject({
  kind: z.literal('segment'),
  structures: z.array(Structure),
  exclusive: z
    .boolean()
    .describe(
      'Softmax over background and the structures, in this order; else a sigmoid for each structure.',
    ),
  patch_size: z.tuple([z.int(), z.int(), z.int()]).describe('[z, y, x] of a crop and of a window.'),
  foreground_fraction: z.number().describe('Share of crops centred on a structure.'),
  overlap: z.number().describe('Of neighbouring windows, as a share of their side.'),
})
export type EngineClassify = z.infer<typeof EngineClassify>
export type EngineSegment = z.infer<typeof EngineSegment>
export const EngineTask = z.discriminatedUnion('kind', [EngineClassify, EngineSegment])
export type EngineTask = z.infer<typeof EngineTask>
export const EngineModel = z.discriminatedUnion('family', [
  z.strictObject({
    family: z.literal('timm'),
    kind: z.string(),
    weights: z.string(),
    drop_rate: z.number(),
    drop_path_rate: z.number(),
  }),
  z.strictObject({
    family: z.literal('mlp'),
    hidden: z.array(z.int()),
    dropout: z.number(),
    weights: z.string(),
  }),
  z.strictObject({
    family: z.literal('unet3d'),
    channels: z.array(z.int()),
    residual_units: z.int(),
    norm: z.enum(['instance', 'batch', 'group']),
    dropout: z.number(),
    weights: z.string(),
  }),
  z.strictObject({
    family: z.literal('segresnet'),
    init_filters: z.int(),
    blocks_down: z.array(z.int()),
    blocks_up: z.array(z.int()),
    dropout: z.number(),
    weights: z.string(),
  }),
  z.strictObject({
    family: z.literal('dynunet'),
    base_channels: z.int(),
    max_channels: z.int(),
    residual: z.boolean(),
    deep_supervision: z.int(),
    weights: z.string(),
  }),
  z.strictObject({
    family: z.literal('resnet3d'),
    depth: z.int(),
    base_channels: z.int(),
    weights: z.string(),
  }),
  z.strictObject({
    family: z.literal('file'),
    file: z.string().describe('Relative to the run folder: the copy.'),
    sha256,
    name: z.string(),
    args: z.record(z.string(), z.json()),
    weights: z.string(),
  }),
])
export type EngineModel = z.infer<typeof EngineModel>
const dataKeys = {
  shard_set: z.string().describe('Absolute path of the shard set.'),
  set_id: sha256,
  labels_id: sha256,
  split_id: sha256,
  normalization: InputNormalization,
}
export const EngineImages = z.strictObject({
  kind: z.literal('images'),
  ...dataKeys,
  sample_shape: z.tuple([z.int(), z.int(), z.int()]).describe('[C, H, W].'),
  dtype: z.enum(['uint8', 'int16']),
})
export const EngineVolumes = z.strictObject({
  kind: z.literal('volumes'),
  ...dataKeys,
  channels: z.int(),
  size: z
    .tuple([z.int(), z.int(), z.int()])
    .nullable()
    .describe('[z, y, x] of every case; null: each its own.'),
  spacing_mm: SpacingMm.describe('[z, y, x] of the stored grid, or its median where cases keep their own.'),
  dtype: z.enum(['uint8', 'int16', 'float16', 'float32']),
})
export const EngineData = z.discriminatedUnion('kind', [EngineImages, EngineVolumes])
export type EngineImages = z.infer<typeof EngineImages>
export type EngineVolumes = z.infer<typeof EngineVolumes>
/** `train` with nothing left open but what only the training node knows (`auto`, resolved once by probe). */
export const EngineTrain = z.strictObject({
  epochs: z.number(),
  global_batch: z.int(),
  accumulate: z.int(),
  lr: z.number(),
  optimizer: Optimizer,
  loss: Loss,
  schedule: Schedule,
  clip_norm: z.number().nullable(),
  ema: z.number().nullable(),
  early_stopping_patience: z.int().nullable(),
  select: z.enum(SELECTION_METRICS),
  validate_every: z.number(),
  checkpoint_every_minutes: z.number(),
  keep_checkpoints: z.int(),
  precision: z.enum(['auto', 'fp32', 'bf16', 'fp16']),
  compile: z.boolean(),
  deterministic: z.boolean(),
  device: z.enum(['auto', 'cpu', 'cuda', 'mps']),
  streams: z.int(),
  shuffle_window: z.int(),
  sync_batch_norm: z.boolean(),
  seed: z.int(),
})
/** What `fiducial_engine.probe` finds out about the training node. */
export const Probe = z.object({
  device: z.enum(['cpu', 'cuda', 'mps']),
  precision: z.enum(['fp32', 'bf16', 'fp16']),
  accelerators: z.int().min(0),
  memory_bytes: z.int().min(0).describe('Of one accelerator, or of the machine where there is none.'),
})
export type Probe = z.infer<typeof Probe>

export const Provenance = z.strictObject({
  fiducial_version: z.string(),
  commit: z.string().nullable(),
  dirty: z.boolean().nullable(),
  node_lock_sha256: z.string().nullable(),
  python_lock_sha256: z.string().nullable(),
  created: z.string().describe('ISO 8601, UTC.'),
})
export type Provenance = z.infer<typeof Provenance>

/** `run.json`: everything a run depends on. The engine has no defaults and rejects missing or unknown keys. */
export const RunConfig = z.strictObject({
  format: z.literal(1),
  name: z.string(),
  recipe_hash: sha256.describe(
    'Of the recipe with every default filled in, without `evaluate`, `package`, `launch` and `$schema`.',
  ),
  task: EngineTask,
  data: EngineData,
  model: EngineModel,
  augment: Augment,
  train: EngineTrain,
  provenance: Provenance,
})
export type RunConfig = z.infer<typeof RunConfig>

/** `checkpoints/{latest,best}.json`. */
export const CheckpointPointer = z.strictObject({
  step: z.int(),
  epoch: z.number(),
  folder: z.string().describe('Relative to checkpoints/.'),
  metrics: z.record(z.string(), z.number().nullable()),
})
export type CheckpointPointer = z.infer<typeof CheckpointPointer>

/** `lock.json`: who writes the run. The generation rises at each start and is checked before each checkpoint. */
export const RunLock = z.strictObject({
  generation: z.int(),
  pid: z.int(),
  host: z.string(),
  process_start: z
    .string()
    .nullable()
    .default(null)
    .describe('What tells the process from a later one with its pid.'),
  time: z.string(),
})
export type RunLock = z.infer<typeof RunLock>

const time = z.number().describe('Unix seconds.')
const count = z.int().min(0)
/** A line of `events.jsonl`; the last line for a (type, step) wins. */
export const RunEvent = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('start'),
    step: count,
    total_steps: count,
    world_size: count,
    device: z.string(),
    precision: z.string(),
    threads: count,
    torch: z.string(),
    num_train: count,
    num_val: count,
    num_parameters: count,
    weights_sha256: sha256
      .nullable()
      .describe('Of the file that step 0 started from; null where it started at random.'),
    time,
  }),
  z.strictObject({ type: z.literal('resume'), step: count, time }),
  z.strictObject({
    type: z.literal('step'),
    step: count,
    epoch: z.number(),
    loss: z.number(),
    lr: z.number(),
    samples_per_second: z.number(),
    data_wait_fraction: z.number(),
    time,
  }),
  z.strictObject({
    type: z.literal('validation'),
    step: count,
    epoch: z.number(),
    metrics: z.record(z.string(), z.number().nullable()),
    is_best: z.boolean(),
    seconds: z.number(),
    time,
  }),
  z.strictObject({
    type: z.literal('checkpoint'),
    step: count,
    folder: z.string(),
    seconds: z.number(),
    time,
  }),
  z.strictObject({ type: z.literal('warning'), step: count, message: z.string(), time }),
  z.strictObject({
    type: z.literal('end'),
    step: count,
    status: z.enum(['finished', 'early_stopped', 'stopped', 'failed']),
    message: z.string().nullable(),
    seconds: z
      .record(z.string(), z.number())
      .describe(
        'Where this process spent its time: data, augment, forward, backward, optimizer, validation, checkpoint, other.',
      ),
    time,
  }),
])
export type RunEvent = z.infer<typeof RunEvent>
