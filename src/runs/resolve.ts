import type { Recipe } from '../schema/recipe.ts'
import type { Provenance, RunConfig } from '../schema/run.ts'
import type { ShardIndex, SplitTable } from '../schema/shard_set.ts'
import { Loss } from '../schema/train.ts'

export interface ResolvedData {
  /** Absolute path of the shard set. */
  dir: string
  index: ShardIndex
  split: SplitTable
}

/**
 * Everything a run depends on, from the recipe with its defaults and the prepared data. Only `device` and
 * `precision` may still be `auto`: the training node knows them (`withProbe`).
 *
 * @param recipeHash of the recipe's keys that shape the training
 */
export function resolveRunConfig(
  recipe: Recipe,
  recipeHash: string,
  data: ResolvedData,
  model: RunConfig['model'],
  provenance: Provenance,
): RunConfig {
  return {
    format: 1,
    name: recipe.name,
    recipe_hash: recipeHash,
    task: { kind: recipe.task.kind, labels: recipe.task.labels, exclusive: recipe.task.exclusive },
    data: {
      shard_set: data.dir,
      set_id: data.index.set_id,
      labels_id: data.split.labels_id,
      split_id: data.split.split_id,
      sample_shape: data.index.sample_shape,
      dtype: data.index.dtype,
      normalization: data.split.normalization,
    },
    model,
    augment: recipe.augment,
    train: resolveTrain(recipe),
    provenance,
  }
}

function resolveTrain({ train, task }: Recipe): RunConfig['train'] {
  const { early_stopping, select, loss, ...same } = train
  return {
    ...same,
    loss: loss !== 'auto' ? loss : Loss.parse({ kind: task.exclusive ? 'cross_entropy' : 'bce' }),
    early_stopping_patience: early_stopping?.patience ?? null,
    select: select.maximize,
  }
}

/** What the training node found out, fixed for the life of the run. */
export function withProbe(
  config: RunConfig,
  probe: { device: RunConfig['train']['device']; precision: RunConfig['train']['precision'] },
): RunConfig {
  return { ...config, train: { ...config.train, device: probe.device, precision: probe.precision } }
}
