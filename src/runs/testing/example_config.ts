import { NO_AUGMENT } from '../../schema/augment.ts'
import type { RunConfig } from '../../schema/run.ts'

/** 64 times one hexadecimal letter. */
export const exampleId = (letter: string) => letter.repeat(64)

/** A small run's run.json. */
export function exampleConfig(overrides: Partial<RunConfig> = {}): RunConfig {
  return {
    format: 1,
    name: 'chest',
    recipe_hash: exampleId('a'),
    task: { kind: 'classify', labels: ['pneumonia'], exclusive: false },
    data: {
      kind: 'images',
      shard_set: '/sets/one',
      set_id: exampleId('b'),
      labels_id: exampleId('c'),
      split_id: exampleId('d'),
      sample_shape: [1, 5, 4],
      dtype: 'uint8',
      normalization: { offset: 0, scale: 1 / 255, mean: [0.5], std: [0.25] },
    },
    model: { family: 'mlp', hidden: [8], dropout: 0, weights: 'none' },
    augment: NO_AUGMENT,
    train: {
      epochs: 2,
      global_batch: 4,
      accumulate: 1,
      lr: 1e-3,
      optimizer: { kind: 'sgd', momentum: 0.9, nesterov: true, weight_decay: 0 },
      loss: { kind: 'bce', pos_weight: 'none' },
      schedule: { kind: 'constant', warmup: 0 },
      clip_norm: null,
      ema: null,
      early_stopping_patience: null,
      select: 'auroc_mean',
      validate_every: 1,
      checkpoint_every_minutes: 10,
      keep_checkpoints: 2,
      precision: 'fp32',
      compile: false,
      deterministic: false,
      device: 'cpu',
      streams: 64,
      shuffle_window: 8,
      sync_batch_norm: false,
      seed: 0,
    },
    provenance: {
      fiducial_version: '0.1.0',
      commit: null,
      dirty: null,
      node_lock_sha256: null,
      python_lock_sha256: null,
      created: '2026-11-21T10:00:00.000Z',
    },
    ...overrides,
  }
}
