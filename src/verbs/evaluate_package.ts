import { join } from 'node:path'
import { STUDY_ATTRIBUTE } from '../evaluate/by_study.ts'
import { evaluatePredictions } from '../evaluate/evaluate.ts'
import { prepareInput } from '../package/infer.ts'
import { type LoadedPackage, loadPackage } from '../package/load.ts'
import { type InputCase, predictFiles } from '../package/predict_files.ts'
import { readManifest } from '../package/read.ts'
import { privateFolder } from '../prepare/place.ts'
import { assignSplit } from '../prepare/split.ts'
import type { Case, SplitPart } from '../schema/case.ts'
import { mayShowPixels } from '../schema/data.ts'
import { StoppedError, UserError } from '../schema/errors.ts'
import type { Prediction } from '../schema/prediction.ts'
import type { ClassifyTask } from '../schema/task.ts'
import { withoutIdentifiers } from '../sources/deidentify.ts'
import { readSource, type SourceData } from '../sources/read.ts'
import { count, firstFew } from '../sources/source_data.ts'
import { readBytes } from '../storage/local.ts'
import { builtOnWarning } from './built_on_warning.ts'
import type { Evaluated, EvaluateOptions } from './evaluate.ts'
import { evaluatedUnits } from './evaluated_units.ts'
import type { Io } from './io.ts'
import { isSynthetic } from './is_synthetic.ts'
import type { LoadedRecipe } from './load_recipe.ts'
import { reportImages } from './report_images.ts'

/**
 * Evaluates a package on the data of a recipe, external data above all. Scores are what the package serves: raw files
 * through its own preprocessing, no Python. Its operating points are applied unchanged.
 *
 * @throws {UserError} when the labels do not fit, no file can be read, or the split is one that only `prepare` knows
 */
export async function evaluatePackage(
  packageDir: string,
  data: LoadedRecipe,
  options: EvaluateOptions,
  io: Io,
): Promise<Evaluated> {
  const { recipe, root } = data
  const loaded = await loadPackage(packageDir, { allowFailed: options.allowFailed ?? false })
  try {
    const { model, digest } = loaded
    const { task } = recipe
    if (task.kind !== 'classify')
      throw new UserError(`The package ${model.name} gives scores; the recipe's task is ${task.kind}.`)
    refuseOtherKind(model.preprocess.kind, recipe.prepare.kind)
    const labels = sharedLabels(loaded, task)
    const source = await readSource(recipe.data, recipe.task, root, io.signal, {
      isOfVolumes: recipe.prepare.kind === 'volume',
      privateFolder: privateFolder({}, { mayWrite: true }),
    })
    const cases = casesOf(source, data, options.split)
    const scored = await predictCases(cases, root, loaded, io)
    const { failed, hashes } = scored
    const { certificate } = await readManifest(loaded.dir)
    const { predictions, warnings: ofUnits } = evaluatedUnits(recipe.data, scored.predictions)
    if (predictions.length === 0)
      throw new UserError(
        `None of the ${count(cases.length, 'case')} could be scored: ${source.deidentified ? withoutIdentifiers(failed[0]!.reason, [root]) : failed[0]!.reason}`,
      )
    const isFixed = model.task.exclusive || labels.some((label) => model.operating_points[label])
    const warnings = [
      ...loaded.warnings,
      ...ofUnits,
      ...(await builtOnWarning(certificate, { cases: source.cases, root, part: options.split, hashes })),
      ...notMeasuredWarnings(loaded, labels, source, failed),
      ...(options.split === 'test'
        ? ['Openings of a test split are counted for runs only, not for packages.']
        : []),
    ]
    const { operating_point, ...config } = recipe.evaluate
    const evaluation = evaluatePredictions(predictions, {
      ...config,
      ...(options.subgroups && { subgroups: options.subgroups }),
      task: { labels, exclusive: model.task.exclusive },
      source: `package ${model.name} ${digest.slice(0, 12)} on ${recipe.name}`,
      split: options.split,
      ...(isFixed && { operating_points: only(model.operating_points, labels) }),
      rule: operating_point,
      chosen_on: 'these predictions',
      test_openings: 0,
      warnings,
    })
    const byId = new Map(cases.map((one) => [one.case_id, one]))
    // A study has no image to show by itself.
    const images =
      mayShowPixels(recipe.data) && ofUnits.length === 0
        ? await reportImages(
            predictions,
            evaluation,
            async (case_id) => (await prepareInput(await filesOf(byId.get(case_id)!, root), model)).stored,
          )
        : []
    return {
      evaluation,
      report: {
        title: `${model.name} on ${recipe.name}`,
        images,
        synthetic: source.synthetic || model.synthetic || isSynthetic(recipe, predictions),
      },
      dir: null,
      files: { evaluation: 'evaluation.json', report: 'report.html' },
    }
  } finally {
    await loaded.close()
  }
}

function refuseOtherKind(model: 'image' | 'volume', recipe: 'image' | 'volume'): void {
  if (model === recipe) return
  throw new UserError(
    `The package scores ${model}s; the recipe is of ${recipe}s.\n  do: write prepare: { kind: ${model} } in the recipe, with data of that kind.`,
  )
}

/** Bytes of a case's files, one after the other. */
async function filesOf({ images }: Pick<Case, 'images'>, root: string): Promise<Uint8Array[]> {
  const files: Uint8Array[] = []
  for (const path of images) files.push(await readBytes(join(root, path)))
  return files
}

function sharedLabels(
  loaded: LoadedPackage,
  { labels: wanted, exclusive: isExclusive }: Pick<ClassifyTask, 'labels' | 'exclusive'>,
): string[] {
  const { labels, exclusive } = loaded.model.task
  const shared = labels.filter((label) => wanted.includes(label))
  const fits = exclusive ? isExclusive && shared.length === labels.length : shared.length > 0
  if (fits) return shared
  throw new UserError(
    `The labels of the data do not fit the package.\n` +
      `  package: ${labels.join(', ')}${exclusive ? ' (exclusive)' : ''}\n` +
      `  recipe:  ${wanted.join(', ')}${isExclusive ? ' (exclusive)' : ''}\n` +
      `  do: name ${exclusive ? 'all of these' : 'the same findings'} in task.labels; data.source.labels maps values to them.`,
  )
}

/**
 * The cases of a part. A part that is drawn at random depends on what `prepare` found in the files; drawing it again
 * from the table alone could put training patients into the test split. Of given parts only a validation part that
 * the source lacks is drawn, out of its training part.
 *
 * @throws {UserError} for a part that only `prepare` knows, or that has no case
 */
export function casesOf(source: SourceData, { recipe }: LoadedRecipe, part: SplitPart | 'all'): Case[] {
  if (part === 'all') return source.cases
  const { split } = recipe.data
  const isGiven = 'column' in split || 'official' in split
  const bringsVal = source.cases.some((one) => one.split === 'val')
  if (!isGiven || (split.val > 0 && !bringsVal && part !== 'test'))
    throw new UserError(
      `The ${part} part of this recipe is drawn at random; only its shard set knows it.\n` +
        `  do: --split all evaluates every case of external data; "fiducial evaluate <run> --split ${part}" a run's own part.`,
    )
  const { parts } = assignSplit(source.cases, split)
  const cases = source.cases.filter((_, i) => parts[i] === part)
  if (cases.length === 0) throw new UserError(`The data have no ${part} cases.\n  do: try --split all.`)
  return cases
}

async function predictCases(
  cases: readonly Case[],
  root: string,
  loaded: LoadedPackage,
  io: Io,
): Promise<{ predictions: Prediction[]; failed: { file: string; reason: string }[]; hashes: string[] }> {
  const files = cases.map(
    (one): InputCase => ({ name: one.case_id, case_id: one.case_id, read: () => filesOf(one, root) }),
  )
  const byId = new Map(cases.map((one) => [one.case_id, one]))
  const predictions: Prediction[] = []
  const failed: { file: string; reason: string }[] = []
  const hashes: string[] = []
  for await (const one of predictFiles(files, loaded, { signal: io.signal })) {
    if ('reason' in one) failed.push(one)
    else {
      const { case_id, patient_id, study_id, labels, attributes: given } = byId.get(one.case_id)!
      const attributes = study_id === undefined ? given : { ...given, [STUDY_ATTRIBUTE]: study_id }
      hashes.push(one.input_sha256)
      predictions.push({ case_id, patient_id, labels, logits: {}, scores: one.scores, attributes })
    }
    io.progress?.(`${predictions.length + failed.length} of ${cases.length} cases scored`)
  }
  if (io.signal.aborted) throw new StoppedError('Stopped; nothing was written. The same command starts over.')
  return { predictions, failed, hashes }
}

function notMeasuredWarnings(
  { model }: LoadedPackage,
  labels: readonly string[],
  source: SourceData,
  failed: readonly { file: string; reason: string }[],
): string[] {
  const unlabelled = model.task.labels.filter((label) => !labels.includes(label))
  const lost = [...source.skipped, ...failed]
  return [
    ...source.warnings,
    ...(unlabelled.length > 0
      ? [`Not evaluated, the data have no such label: ${unlabelled.join(', ')}.`]
      : []),
    ...(lost.length > 0
      ? [
          `${count(lost.length, 'case')} could not be read and ${lost.length === 1 ? 'is' : 'are'} in no number: ` +
            `${firstFew(lost.map(({ file }) => file))}.`,
        ]
      : []),
  ]
}

function only<T>(record: Readonly<Record<string, T>>, keys: readonly string[]): Record<string, T> {
  return Object.fromEntries(Object.entries(record).filter(([key]) => keys.includes(key)))
}
