import { dirname, join, resolve } from 'node:path'
import { readMask } from '../imaging/read_mask.ts'
import type { StoredVoxels } from '../imaging/store_volume.ts'
import type { CertifiedCase } from '../package/certify_segment.ts'
import { goldenVolumes } from '../package/golden_volume.ts'
import { publishPackage, refuseOccupied } from '../package/write.ts'
import { completeSegmentPackage } from '../package/write_segment.ts'
import { readFingerprint } from '../prepare/shard_set.ts'
import { RUN_FILES } from '../runs/folder.ts'
import { isSegmentRun, type SegmentRun } from '../runs/kinds.ts'
import { readRun } from '../runs/read.ts'
import { UserError } from '../schema/errors.ts'
import type { MaskInference, SegmentEvaluation } from '../schema/evaluation_segment.ts'
import type { Recipe } from '../schema/recipe.ts'
import type { PackageResult } from '../schema/results.ts'
import type { SegmentPackage } from '../schema/segment_package.ts'
import type { VolumeFingerprint, VolumeShardIndex } from '../schema/shard_set.ts'
import { readBytes } from '../storage/local.ts'
import { imagesOfCases } from './case_images.ts'
import { currentSegmentEvaluation } from './current_evaluation.ts'
import { mean, networkFile, refuseDifferent, together } from './ensemble.ts'
import { evaluateSegmentRun } from './evaluate_segment_run.ts'
import type { Io } from './io.ts'
import { isSynthetic } from './is_synthetic.ts'
import { loadRecipe } from './load_recipe.ts'
import type { PackageRunOptions } from './package.ts'
import { packageResult } from './package_result.ts'
import { indexOfRun } from './run_set.ts'
import { exportSegmentRun, type ReferenceVolume, type SegmentExport } from './segment_reference.ts'
import { servedMask } from './served_mask.ts'
import { shippedRecipe } from './shipped_recipe.ts'
import { type ValidationVolume, validationVolumes } from './validation_volumes.ts'

/** Real cases that are segmented again from their files: each takes seconds to minutes. */
const MOST_CASES = 4

/**
 * Packages finished segmentation runs: exports their networks, whose probabilities are averaged where there are several,
 * writes golden phantoms, and certifies the package against PyTorch and MONAI on them and on real validation cases.
 *
 * @throws {UserError} when a run has not finished, its data are gone, or the runs do not go together
 */
export async function packageSegmentRuns(
  runs: readonly SegmentRun[],
  options: PackageRunOptions,
  io: Io,
): Promise<PackageResult> {
  const first = runs[0]!
  refuseDifferent(runs)
  const { recipe } = await loadRecipe(join(first.dir, RUN_FILES.recipe), options.set)
  const { checkpoint, certify_cases, tolerance } = recipe.package
  for (const run of runs)
    if (run[checkpoint] === null)
      throw new UserError(
        `${run.dir} has no ${checkpoint} checkpoint (${run.status}).\n  do: "fiducial train" resumes it.`,
      )
  const isHome =
    runs.length === 1 &&
    (options.out === undefined || resolve(options.out) === join(first.dir, RUN_FILES.package))
  if (runs.length > 1 && options.out === undefined)
    throw new UserError(
      'A package of several runs belongs to none of them.\n  do: name its folder with --out.',
    )
  const out = options.out ?? join(first.dir, RUN_FILES.package)
  const owner = {
    run: runs.length === 1 ? first.id : null,
    name: first.config.name,
    training: isHome ? trainingOf(first) : undefined,
  }
  await refuseOccupied(out, owner)
  const evaluations: SegmentEvaluation[] = []
  for (const run of runs) evaluations.push(await evaluationOf(run, options.set ?? [], io))
  const index = await indexOfRun(first, 'volumes')
  const inference = together(evaluations)
  const fingerprint = (await readFingerprint(first.config.data.shard_set)) as VolumeFingerprint
  // An ensemble's masks are no run's, and validation wrote those of the best checkpoint.
  const hasMasks = runs.length === 1 && checkpoint === 'best'
  const golden = await goldenVolumes(index.preprocess, first.config.task.patch_size)
  const imagesOf = await imagesOfCases(first.config.data.shard_set, options.data, io.signal)
  const real = await validationVolumes(first, Math.min(certify_cases, MOST_CASES), imagesOf)
  const certificate = await publishPackage(out, owner, async (dir) => {
    const volumes: ReferenceVolume[] = [...golden.map((one) => one.stored), ...real.slice(0, 1)]
    const patchVolumes = [...volumes, ...real.slice(1)]
    const exported: SegmentExport[] = []
    for (const [n, run] of runs.entries()) {
      io.log(`Exporting ${run.id}, step ${run[checkpoint]!.step}, and computing PyTorch's reference`)
      const settings = { mirror: inference.mirror, checkpoint }
      exported.push(
        await exportSegmentRun(run, join(dir, dirname(networkFile(n))), patchVolumes, settings, io),
      )
    }
    const reference = volumes.map((_, i) => mean(exported.map((one) => one.probabilities[i]!)))
    const model = modelJson(runs, recipe, index, fingerprint, inference, {
      version: options.version ?? first.id,
      created: io.now(),
      synthetic: isSynthetic(
        recipe,
        evaluations.flatMap((one) => one.per_case),
      ),
    })
    io.log(`Certifying on ${golden.length} phantom volumes and ${real.length} validation cases`)
    return completeSegmentPackage(dir, {
      model,
      golden,
      goldenProbabilities: reference.slice(0, golden.length),
      patches: exported.map((one) => one.patches),
      cases: await casesOf(first, real, { hasMasks, probabilities: reference[golden.length] ?? null }),
      reference: `PyTorch and MONAI, ${runs.map((run) => `step ${run[checkpoint]!.step} of ${run.id}`).join('; ')}`,
      evaluations,
      created: io.now(),
      tolerance,
      served: servedMask,
    })
  })
  return packageResult(out, certificate)
}

/**
 * Packages several runs as one.
 *
 * @throws {UserError} as `packageSegmentRuns`, and when a run scores images
 */
export async function packageEnsemble(
  dirs: readonly string[],
  options: PackageRunOptions,
  io: Io,
): Promise<PackageResult> {
  const runs: SegmentRun[] = []
  for (const dir of dirs) {
    const run = await readRun(dir)
    if (!isSegmentRun(run))
      throw new UserError(`${run.id} scores images; only segmentation runs are packaged together.`)
    runs.push(run)
  }
  return packageSegmentRuns(runs, options, io)
}

/** The run's evaluation on validation, made anew where it is not of these predictions and keys. */
async function evaluationOf(run: SegmentRun, set: readonly string[], io: Io): Promise<SegmentEvaluation> {
  const { recipe } = await loadRecipe(join(run.dir, RUN_FILES.recipe), set)
  const current = await currentSegmentEvaluation(run, recipe.evaluate)
  const own = set.filter((override) => override.startsWith('evaluate.'))
  return current ?? (await evaluateSegmentRun(run, { split: 'val', set: own }, io))
}

/**
 * Real cases with what the run's validation wrote of them.
 *
 * @param options.probabilities of the first case; null where they were not computed
 */
async function casesOf(
  run: SegmentRun,
  real: readonly ValidationVolume[],
  { hasMasks, probabilities }: { hasMasks: boolean; probabilities: Float32Array | null },
): Promise<CertifiedCase[]> {
  const cases: CertifiedCase[] = []
  for (const [i, { read, data, mask }] of real.entries())
    cases.push({
      read,
      stored: data as StoredVoxels,
      probabilities: i === 0 ? probabilities : null,
      mask:
        hasMasks && mask !== null
          ? ((await readMask(await readBytes(join(run.dir, RUN_FILES.predictions, mask)), null)).volume
              .data as Uint8Array)
          : null,
    })
  return cases
}

function modelJson(
  runs: readonly SegmentRun[],
  recipe: Recipe,
  index: VolumeShardIndex,
  fingerprint: VolumeFingerprint,
  inference: MaskInference,
  about: { version: string; created: Date; synthetic: boolean },
): Omit<SegmentPackage, 'files'> {
  const { id, config, events } = runs[0]!
  const { task, data } = config
  return {
    format: 1,
    name: config.name,
    version: about.version,
    status: 'draft',
    synthetic: about.synthetic,
    task: { kind: 'segment', structures: task.structures, exclusive: task.exclusive },
    preprocess: index.preprocess,
    preprocess_code_version: index.code_version,
    input: { name: 'image', patch_size: task.patch_size, dtype: data.dtype },
    output: { name: 'logits', activation: task.exclusive ? 'softmax' : 'sigmoid' },
    networks: runs.map((run, n) => ({
      file: networkFile(n),
      normalization: run.config.data.normalization,
      run: run.id,
      step: run[recipe.package.checkpoint]!.step,
      split_id: run.config.data.split_id,
    })),
    overlap: task.overlap,
    inference,
    fingerprint,
    provenance: {
      ...config.provenance,
      created: about.created.toISOString(),
      recipe: shippedRecipe(recipe) as SegmentPackage['provenance']['recipe'],
      ...trainingOf(runs[0]!),
      run: runs.length === 1 ? id : null,
      step: runs[0]![recipe.package.checkpoint]!.step,
      weights_sha256: events.findLast((event) => event.type === 'start')?.weights_sha256 ?? null,
    },
  }
}

const trainingOf = ({ config }: SegmentRun) => ({
  recipe_hash: config.recipe_hash,
  set_id: config.data.set_id,
  split_id: config.data.split_id,
  seed: config.train.seed,
})
