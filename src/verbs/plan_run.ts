import { join, resolve } from 'node:path'
import { inspectSplit } from '../prepare/inspection.ts'
import { refuseLeaks } from '../prepare/leaks.ts'
import { refuseUnlearnable, unlearnableLabels } from '../prepare/learnable.ts'
import { readRequest } from '../prepare/request.ts'
import { countParts } from '../prepare/tables.ts'
import { findPython } from '../python/environment.ts'
import { runsFolder, timestamp } from '../runs/folder.ts'
import { listRuns } from '../runs/list.ts'
import { resolveModel } from '../runs/model.ts'
import { isFinished } from '../runs/read.ts'
import { UserError } from '../schema/errors.ts'
import type { Recipe } from '../schema/recipe.ts'
import type { DryRunResult } from '../schema/results.ts'
import type { Io } from './io.ts'
import type { LoadedRecipe } from './load_recipe.ts'
import { refuseEmptyParts, type TrainOptions } from './train.ts'

/**
 * What `train` would do, or `run` with the stages behind it. Tables and names of files are read, no image is: whether
 * the images are prepared, and whether a run was made of the same ones, is not known here. Phantoms are planned and not made.
 *
 * @throws {UserError} for what would stop the training: no Python, a model, image or label that is not there, parts
 *   that share patients or are empty, nothing to learn
 */
export async function planTraining(
  loaded: LoadedRecipe,
  options: TrainOptions,
  io: Io,
): Promise<DryRunResult> {
  const { recipe, dir, root, hash } = loaded
  await findPython()
  const { model } = await resolveModel(recipe.model, dir)
  await refuseUntrainable(loaded, io.signal)
  const name =
    model.family === 'timm'
      ? model.kind
      : model.family === 'file'
        ? `${model.name} of ${model.file}`
        : model.family
  const parent = options.parent ?? runsFolder()
  const { runs } = await listRuns(parent)
  const same = options.new
    ? undefined
    : runs.find(
        (run) => run.config.recipe_hash === hash && (options.reuseFinished || !isFinished(run.status)),
      )
  const { epochs, global_batch, lr, seed } = recipe.train
  return {
    dry_run: true,
    would: [
      `prepare ${pixelsText(recipe.prepare, root)}, unless their shard set is there`,
      `train ${name} with weights ${model.weights}: ${epochs} epochs, batches of ${global_batch === 'auto' ? 'a size chosen then' : global_batch}, peak lr ${lr}, seed ${seed}`,
      options.runDir !== undefined
        ? `in ${resolve(options.runDir)}`
        : same
          ? `${isFinished(same.status) ? 'unless that was done: using' : 'continuing'} ${same.dir} if the data are the same`
          : `in ${join(parent, `${recipe.name}-${timestamp(io.now())}`)}`,
    ],
  }
}

function pixelsText(prepare: Recipe['prepare'], root: string): string {
  if (prepare.kind === 'volume') {
    const { orientation, spacing_mm: mm } = prepare
    const spacing =
      typeof mm === 'string'
        ? { auto: 'their median spacing', source: 'their own spacing' }[mm]
        : `${mm.join(' × ')} mm`
    return `the volumes of ${root} as ${orientation} at ${spacing}`
  }
  const [height, width] = typeof prepare.size === 'number' ? [prepare.size, prepare.size] : prepare.size
  return `the images of ${root} as ${height} × ${width} × ${prepare.channels}`
}

/** What training refuses, as far as it shows without the images' bytes: equal ones are found when they are prepared. */
async function refuseUntrainable({ recipe, root, path }: LoadedRecipe, signal: AbortSignal): Promise<void> {
  const { prepare, task } = recipe
  if (task.kind === 'classify' && prepare.kind === 'volume' && prepare.size === null)
    throw new UserError(
      `prepare.size is missing in ${path}: classification takes volumes of one size.\n  do: "fiducial prepare --dry-run" says which would do.`,
    )
  const { cases } = await readRequest(recipe, root, signal, { mayGenerate: false })
  const { split: rule, allow_leaks } = recipe.data
  const { kind, parts, leaks, warnings } = inspectSplit(cases, rule, [], new Map())
  if (kind === null) throw new UserError(warnings.join('\n'))
  refuseLeaks({ kind, leaks }, { allow_leaks })
  refuseEmptyParts(
    countParts(parts, (members) => members.length),
    path,
  )
  // Which structures a mask holds shows when it is read.
  if (recipe.task.kind === 'classify')
    refuseUnlearnable(unlearnableLabels(cases, parts, recipe.task), recipe.task)
}
