import { join, resolve } from 'node:path'
import { runsFolder, timestamp } from '../runs/folder.ts'
import { listRuns } from '../runs/list.ts'
import { resolveModel } from '../runs/model.ts'
import { isFinished } from '../runs/read.ts'
import type { DryRunResult } from '../schema/results.ts'
import type { Io } from './io.ts'
import type { LoadedRecipe } from './load_recipe.ts'
import type { TrainOptions } from './train.ts'

/**
 * What `train` would do, or `run` with the stages behind it. The data are not read, so whether they are prepared, and
 * whether a run was made of the same data, is not known here.
 *
 * @throws {UserError} when a file that the recipe names is not there
 */
export async function planTraining(
  { recipe, dir, root, hash }: LoadedRecipe,
  options: TrainOptions,
  io: Io,
): Promise<DryRunResult> {
  const { model } = await resolveModel(recipe.model, dir)
  const name =
    model.family === 'timm' ? model.kind : model.family === 'file' ? `${model.name} of ${model.file}` : 'mlp'
  const [height, width] = [recipe.prepare.size]
    .flat()
    .flatMap((n, _, all) => (all.length === 1 ? [n, n] : [n]))
  const parent = options.parent ?? runsFolder()
  const { runs } = await listRuns(parent)
  const same = options.new
    ? undefined
    : runs.find((run) => run.config.recipe_hash === hash && !isFinished(run.status))
  const { epochs, global_batch, lr, seed } = recipe.train
  return {
    dry_run: true,
    would: [
      `prepare the images of ${root} as ${height} × ${width} × ${recipe.prepare.channels}, unless their shard set is there`,
      `train ${name} with weights ${model.weights}: ${epochs} epochs, batches of ${global_batch}, peak lr ${lr}, seed ${seed}`,
      options.runDir !== undefined
        ? `in ${resolve(options.runDir)}`
        : same
          ? `continuing ${same.dir} if the data are the same`
          : `in ${join(parent, `${recipe.name}-${timestamp(io.now())}`)}`,
    ],
  }
}
