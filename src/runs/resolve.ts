import type { Recipe } from '../schema/recipe.ts'
import type { Probe, Provenance, RunConfig } from '../schema/run.ts'
import type { Fingerprint, ShardIndex, SplitTable, VolumeFingerprint } from '../schema/shard_set.ts'
import { isExclusive, labelNames, structuresOf } from '../schema/task.ts'
import { Loss } from '../schema/train.ts'
import { type PatchPlan, planBatch, planPatch } from './plan_patch.ts'

export interface ResolvedData {
  /** Absolute path of the shard set. */
  dir: string
  index: ShardIndex
  split: SplitTable
  fingerprint: Fingerprint
}

/**
 * Everything a run depends on, from the recipe with its defaults and the prepared data. Only `device` and
 * `precision` may still be `auto`: the training node knows them (`withProbe`). So does it know its memory, by which the
 * crops of volumes may shrink.
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
  const { index, split, fingerprint } = data
  const keys = {
    shard_set: data.dir,
    set_id: index.set_id,
    labels_id: split.labels_id,
    split_id: split.split_id,
    normalization: split.normalization,
  }
  const patch =
    fingerprint.kind === 'volumes' ? patchFor(recipe, fingerprint, split.cases.train, model, null) : null
  return {
    format: 1,
    name: recipe.name,
    recipe_hash: recipeHash,
    task: resolveTask(recipe, patch),
    data:
      index.kind === 'images'
        ? { kind: 'images', ...keys, sample_shape: index.sample_shape, dtype: index.dtype }
        : {
            kind: 'volumes',
            ...keys,
            channels: index.preprocess.channels,
            size: index.preprocess.size,
            spacing_mm: spacingOf(fingerprint),
            dtype: index.dtype,
          },
    model,
    augment: recipe.augment,
    train: resolveTrain(recipe, patch),
    provenance,
  }
}

interface Patch extends PatchPlan {
  batch: number
}

function patchFor(
  { train, task }: Recipe,
  fingerprint: VolumeFingerprint,
  numTrain: number,
  model: RunConfig['model'],
  memoryBytes: number | null,
): Patch {
  const median = fingerprint.stored_shape.map((range) => range.median) as [number, number, number]
  const spacing_mm = spacingOf(fingerprint)
  const asked = train.patch_size === 'auto' ? null : train.patch_size
  const plan = (batch: number): PatchPlan =>
    asked !== null
      ? { patch_size: [...asked], reason: `${asked.join('×')}, as the recipe says` }
      : planPatch({
          median,
          channels: fingerprint.intensity.length,
          outputs: labelNames(task).length + 1,
          model,
          batch,
          memoryBytes,
          spacing_mm,
        })
  const first = plan(2)
  const batch =
    train.global_batch === 'auto' ? planBatch(median, first.patch_size, numTrain) : train.global_batch
  return { ...plan(batch), batch }
}

function spacingOf(fingerprint: Fingerprint): [number, number, number] {
  if (fingerprint.kind !== 'volumes') throw new Error('only volumes have a spacing')
  return (
    fingerprint.spacing_mm ??
    (fingerprint.source_spacing_mm.map((range) => range.median) as [number, number, number])
  )
}

function resolveTask({ task, train }: Recipe, patch: Patch | null): RunConfig['task'] {
  if (task.kind === 'classify') return { kind: 'classify', labels: task.labels, exclusive: task.exclusive }
  const { foreground_fraction, overlap } = train
  return {
    kind: 'segment',
    structures: structuresOf(task),
    exclusive: isExclusive(task),
    patch_size: patch!.patch_size,
    foreground_fraction: foreground_fraction === 'auto' ? 0.33 : foreground_fraction,
    overlap: overlap === 'auto' ? 0.5 : overlap,
  }
}

function resolveTrain({ train, task }: Recipe, patch: Patch | null): RunConfig['train'] {
  const { early_stopping, select, loss, global_batch, patch_size, foreground_fraction, overlap, ...same } =
    train
  const isSegment = task.kind === 'segment'
  const kind = isSegment ? 'dice_ce' : task.exclusive ? 'cross_entropy' : 'bce'
  return {
    ...same,
    global_batch: global_batch !== 'auto' ? global_batch : (patch?.batch ?? 32),
    loss: loss !== 'auto' ? loss : Loss.parse({ kind }),
    early_stopping_patience: early_stopping?.patience ?? null,
    select: select.maximize !== 'auto' ? select.maximize : isSegment ? 'dice_mean' : 'auroc_mean',
  }
}

/**
 * What the training node found out, fixed for the life of the run.
 *
 * @returns the run.json, and what was decided and why, a line each
 */
export function withProbe(
  config: RunConfig,
  probe: Pick<Probe, 'device' | 'precision' | 'memory_bytes'>,
  recipe: Recipe,
  data: ResolvedData,
): { config: RunConfig; reasons: string[] } {
  const { fingerprint, split } = data
  const found = { ...config, train: { ...config.train, device: probe.device, precision: probe.precision } }
  if (found.task.kind !== 'segment' || fingerprint.kind !== 'volumes') return { config: found, reasons: [] }
  const patch = patchFor(recipe, fingerprint, split.cases.train, config.model, probe.memory_bytes)
  const reasons = [
    ...(recipe.train.patch_size === 'auto' ? [`train.patch_size: ${patch.reason}`] : []),
    ...(recipe.train.global_batch === 'auto'
      ? [`train.global_batch: ${patch.batch} crops, at most 5 % of the training voxels a step`]
      : []),
  ]
  return {
    config: {
      ...found,
      task: { ...found.task, patch_size: patch.patch_size },
      train: { ...found.train, global_batch: patch.batch },
    },
    reasons,
  }
}
