import { join, resolve } from 'node:path'
import type { RealCase } from '../package/certify.ts'
import { goldenInputs } from '../package/golden.ts'
import { activate } from '../package/infer.ts'
import { inputSha256 } from '../package/input_sha256.ts'
import { completePackage, publishPackage, refuseOccupied, type Training } from '../package/write.ts'
import { RUN_FILES } from '../runs/folder.ts'
import { inputShape, isSegmentRun, type ScoreRun, scoreRun } from '../runs/kinds.ts'
import { type RunRecord, readRun } from '../runs/read.ts'
import { isGenerated } from '../schema/data.ts'
import { UserError } from '../schema/errors.ts'
import type { ModelPackage } from '../schema/model_package.ts'
import type { Recipe } from '../schema/recipe.ts'
import type { PackageResult } from '../schema/results.ts'
import { exportRun } from './export_run.ts'
import type { Io } from './io.ts'
import { type LoadedRecipe, loadRecipe } from './load_recipe.ts'
import { packageResult } from './package_result.ts'
import { type RunMaterials, readRunMaterials } from './run_materials.ts'
import { validationOf } from './run_validation.ts'
import { servedScores } from './served_scores.ts'
import { shippedRecipe } from './shipped_recipe.ts'
import { type FindFiles, filesOfRun } from './source_files.ts'

export interface PackageRunOptions {
  /** Folder of the package; `<run>/package` unless given. */
  out?: string
  /** Where raw files of validation cases lie now that are not where `prepare` read them. */
  data?: LoadedRecipe
  /** `path=value` overrides of the run's recipe.yaml, e.g. `package.certify_cases=200`. */
  set?: readonly string[]
  version?: string
}

/**
 * Packages a finished run: exports its network, writes golden phantoms, and certifies the package against PyTorch on
 * them and on real validation cases. A package whose certificate fails is written too, so that it can be looked at.
 *
 * @throws {UserError} when the run has not finished, its data are gone, or the folder holds something else
 */
export async function packageRun(runDir: string, options: PackageRunOptions, io: Io): Promise<PackageResult> {
  const found = await readRun(runDir)
  if (isSegmentRun(found))
    return (await import('./package_segment.ts')).packageSegmentRuns([found], options, io)
  const run = scoreRun(found)
  const { recipe } = await loadRecipe(join(run.dir, RUN_FILES.recipe), options.set)
  const config = recipe.package
  const out = options.out ?? join(run.dir, RUN_FILES.package)
  const isHome = resolve(out) === join(run.dir, RUN_FILES.package)
  const owner = { run: run.id, name: run.config.name, training: isHome ? trainingOf(run) : undefined }
  await refuseOccupied(out, owner)

  const pointer = run[config.checkpoint]
  if (pointer === null)
    throw new UserError(
      `${run.dir} has no ${config.checkpoint} checkpoint (${run.status}).\n  do: "fiducial train" resumes it.`,
    )
  const engine = ['--run-dir', run.dir, '--checkpoint', config.checkpoint]
  const set = (options.set ?? []).filter((override) => override.startsWith('evaluate.'))
  const validation = await validationOf(run, pointer.step, recipe.evaluate, set, engine, io)
  const materials = await readRunMaterials(run, validation, config.certify_cases)
  const { index } = materials
  const find = await filesOfRun(run.config.data.shard_set, options.data, io.signal)
  const files = await findAll(materials, find)

  const certificate = await publishPackage(out, owner, async (dir) => {
    io.log(`Exporting ${run.id}, step ${pointer.step}, and computing PyTorch's reference`)
    const golden = (await goldenInputs(index.preprocess)).inputs
    const tensors = [...golden.map((g) => g.tensor), ...materials.cases.map((c) => c.stored)]
    const logits = await exportRun(dir, tensors, run.config.data, engine, io)
    io.log(
      `Certifying on ${golden.length} golden ${index.kind} and ${materials.cases.length} validation cases`,
    )
    const model = modelJson(run, pointer.step, recipe, materials, {
      version: options.version ?? run.id,
      created: io.now(),
      isSynthetic: materials.isSynthetic || isGenerated(recipe.data.source),
    })
    const scores = (row: readonly number[]) => activate(row, model.output.activation)
    return completePackage(dir, {
      model,
      golden,
      goldenLogits: logits(1).slice(0, golden.length),
      validation: materials.cases.map(
        (one, i): RealCase => ({
          file_sha256: files[i]!.file_sha256,
          read: files[i]!.read,
          stored: one.stored,
          reference: (batch) => scores(logits(batch)[golden.length + i]!),
          predicted: one.scores,
        }),
      ),
      reference: `PyTorch, step ${pointer.step} of ${run.id}`,
      evaluation: materials.evaluation,
      created: io.now(),
      tolerance: config.tolerance,
      served: servedScores,
    })
  })
  return packageResult(out, certificate)
}

/**
 * Opens the raw files of each validation case, and names it as certificates do.
 *
 * @throws {UserError} with counts when some are not at hand: a certificate without raw files would prove half
 */
async function findAll(
  { cases, index }: RunMaterials,
  find: FindFiles,
): Promise<Pick<RealCase, 'file_sha256' | 'read'>[]> {
  const files: Pick<RealCase, 'file_sha256' | 'read'>[] = []
  const absent: string[] = []
  for (const { case_id, file_sha256 } of cases) {
    const read = await find(file_sha256)
    if (read === null) absent.push(case_id)
    // Shard sets name a series by its files in their order, whatever they are.
    else files.push({ read, file_sha256: index.kind === 'volumes' ? inputSha256(await read()) : file_sha256 })
  }
  if (absent.length === 0) return files
  throw new UserError(
    `${absent.length} of ${cases.length} validation ${index.kind} are not where "prepare" read them, or changed since: ` +
      `${absent.slice(0, 3).join(', ')}${absent.length > 3 ? ', …' : ''}.\n` +
      '  do: say where the data set lies now with --data <recipe>; files are found by their content.',
  )
}

function modelJson(
  run: ScoreRun,
  step: number,
  recipe: Recipe,
  { index, fingerprint, evaluation }: RunMaterials,
  about: { version: string; created: Date; isSynthetic: boolean },
): Omit<ModelPackage, 'files'> {
  const { id, config, events } = run
  return {
    format: 1,
    name: config.name,
    version: about.version,
    status: 'draft',
    synthetic: about.isSynthetic,
    task: config.task,
    preprocess: index.preprocess,
    preprocess_code_version: index.code_version,
    input: {
      name: 'image',
      shape: inputShape(config.data),
      dtype: config.data.dtype,
      normalization: config.data.normalization,
    },
    output: { name: 'logits', activation: config.task.exclusive ? 'softmax' : 'sigmoid' },
    calibration: { kind: 'none' },
    operating_points: evaluation.operating_points,
    fingerprint,
    provenance: {
      ...config.provenance,
      created: about.created.toISOString(),
      recipe: shippedRecipe(recipe) as ModelPackage['provenance']['recipe'],
      ...trainingOf(run),
      run: id,
      step,
      weights_sha256: events.findLast((event) => event.type === 'start')?.weights_sha256 ?? null,
    },
  }
}

const trainingOf = ({ config }: RunRecord): Training => ({
  recipe_hash: config.recipe_hash,
  set_id: config.data.set_id,
  split_id: config.data.split_id,
  seed: config.train.seed,
})
