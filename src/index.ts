import type { LoadedPackage, LoadOptions } from './package/load.ts'
import type { LoadedSegmenter } from './package/load_segmenter.ts'
import type { Segmented } from './package/segment.ts'
import type { Evaluation } from './schema/evaluation.ts'
import type { SegmentEvaluation } from './schema/evaluation_segment.ts'
import type {
  InitResult,
  InspectResult,
  PackageResult,
  PredictResult,
  PrepareResult,
  RunResult,
  TrainResult,
} from './schema/results.ts'
import type { EvaluateOptions, EvaluateTarget } from './verbs/evaluate.ts'
import type { EvaluateMasksOptions, MaskFolders } from './verbs/evaluate_masks.ts'
import type { InitOptions } from './verbs/init.ts'
import type { InspectOptions } from './verbs/inspect.ts'
import { type Io, quietIo } from './verbs/io.ts'
import type { LoadedRecipe } from './verbs/load_recipe.ts'
import type { PackageRunOptions } from './verbs/package.ts'
import type { PackageOnnxOptions } from './verbs/package_onnx.ts'
import type { PredictOptions } from './verbs/predict.ts'
import type { PrepareVerbOptions } from './verbs/prepare.ts'
import type { ServeOptions, ServeReady } from './verbs/serve.ts'
import type { TrainOptions } from './verbs/train.ts'

// The public API: `import { loadPackage, loadRecipe, train } from 'fiducial'`. Each function loads what it needs when
// it is first called, so that predicting loads nothing of training. Mistakes that a caller can mend are UserErrors.

export { AttentionError, SchemaError, StoppedError, UserError } from './schema/errors.ts'
export { type Io, quietIo } from './verbs/io.ts'
export type {
  EvaluateMasksOptions,
  EvaluateOptions,
  EvaluateTarget,
  Evaluation,
  InitOptions,
  InitResult,
  InspectOptions,
  InspectResult,
  LoadedPackage,
  LoadedRecipe,
  LoadedSegmenter,
  LoadOptions,
  MaskFolders,
  PackageOnnxOptions,
  PackageResult,
  PackageRunOptions,
  PredictOptions,
  PredictResult,
  PrepareResult,
  PrepareVerbOptions,
  RunResult,
  SegmentEvaluation,
  Segmented,
  ServeOptions,
  ServeReady,
  TrainOptions,
  TrainResult,
}

/** Opens a model package to score images, without Python. See `src/package/load.ts`. */
export async function loadPackage(dir: string, options?: LoadOptions): Promise<LoadedPackage> {
  return (await import('./package/load.ts')).loadPackage(dir, options)
}

/** Opens a model package to segment volumes, without Python. See `src/package/load_segmenter.ts`. */
export async function loadSegmenter(dir: string, options?: LoadOptions): Promise<LoadedSegmenter> {
  return (await import('./package/load_segmenter.ts')).loadSegmenter(dir, options)
}

/** Reads a recipe; `overrides` as `--set path=value`. */
export async function loadRecipe(path: string, overrides?: readonly string[]): Promise<LoadedRecipe> {
  return (await import('./verbs/load_recipe.ts')).loadRecipe(path, overrides)
}

/** Looks at a folder, a table or the name of a data set, and writes a commented recipe. */
export async function init(target: string, options: InitOptions, io: Io = quietIo()): Promise<InitResult> {
  return (await import('./verbs/init.ts')).init(target, options, io)
}

/** Labels, patients, parts and leaks of a recipe, a folder or a table. */
export async function inspect(
  target: string,
  options: InspectOptions = {},
  io: Io = quietIo(),
): Promise<InspectResult> {
  return (await import('./verbs/inspect.ts')).inspect(target, options, io)
}

/** Decodes, resamples and shards the images of a recipe. */
export async function prepare(
  recipe: LoadedRecipe,
  options: PrepareVerbOptions,
  io: Io = quietIo(),
): Promise<PrepareResult> {
  return (await (await import('./verbs/prepare.ts')).prepare(recipe, options, io)).result
}

/** Trains a recipe; the same call resumes. */
export async function train(
  recipe: LoadedRecipe,
  options: TrainOptions,
  io: Io = quietIo(),
): Promise<TrainResult> {
  return (await import('./verbs/train.ts')).train(recipe, options, io)
}

/** prepare → train → evaluate → package, resumable. */
export async function run(
  recipe: LoadedRecipe,
  options: TrainOptions,
  io: Io = quietIo(),
): Promise<RunResult> {
  return (await import('./verbs/run.ts')).run(recipe, options, io)
}

/** Metrics with intervals of a run, of a package on a recipe's data, or of others' predictions. */
export async function evaluate(
  target: EvaluateTarget,
  options: EvaluateOptions,
  io: Io = quietIo(),
): Promise<Evaluation | SegmentEvaluation> {
  return (await import('./verbs/evaluate.ts')).evaluate(target, options, io)
}

/** Metrics with intervals of a folder of masks against another. */
export async function evaluateMasks(
  folders: MaskFolders,
  options: EvaluateMasksOptions,
  io: Io = quietIo(),
): Promise<SegmentEvaluation> {
  return (await import('./verbs/evaluate_masks.ts')).evaluateMasks(folders, options, io)
}

/** Exports a finished run as a certified model package. */
export async function packageRun(
  runDir: string,
  options: PackageRunOptions = {},
  io: Io = quietIo(),
): Promise<PackageResult> {
  return (await import('./verbs/package.ts')).packageRun(runDir, options, io)
}

/** Exports several segmentation runs, such as the folds of a recipe, as one package that averages them. */
export async function packageEnsemble(
  runDirs: readonly string[],
  options: PackageRunOptions,
  io: Io = quietIo(),
): Promise<PackageResult> {
  return (await import('./verbs/package_segment.ts')).packageEnsemble(runDirs, options, io)
}

/** Packages another tool's ONNX file against reference scores. */
export async function packageOnnx(options: PackageOnnxOptions, io: Io = quietIo()): Promise<PackageResult> {
  return (await import('./verbs/package_onnx.ts')).packageOnnx(options, io)
}

/** Measures an existing package again. */
export async function verifyPackage(
  packageDir: string,
  options: { data?: LoadedRecipe } = {},
  io: Io = quietIo(),
): Promise<PackageResult> {
  return (await import('./verbs/package_verify.ts')).verifyPackage(packageDir, options, io)
}

/** Scores image files, or segments volumes, and those of folders. */
export async function predict(
  packageDir: string,
  paths: readonly string[],
  options: PredictOptions = {},
  io: Io = quietIo(),
): Promise<PredictResult> {
  return (await import('./verbs/predict.ts')).predict(packageDir, paths, options, io)
}

/** Serves packages over HTTP until `io.signal`. */
export async function serve(
  packageDirs: readonly string[],
  options: ServeOptions,
  onReady: (ready: ServeReady) => void | Promise<void>,
  io: Io = quietIo(),
): Promise<void> {
  return (await import('./verbs/serve.ts')).serve(packageDirs, options, onReady, io)
}
