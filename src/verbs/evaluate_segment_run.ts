import { join } from 'node:path'
import { evaluateSegments, type SegmentCase } from '../evaluate/evaluate_segments.ts'
import { measureMasks } from '../evaluate/measure_masks.ts'
import { unitOf } from '../imaging/preprocess_volume.ts'
import { labelVolume } from '../package/label_volume.ts'
import { maskEncoding } from '../package/mask_encoding.ts'
import { renderSegmentReport } from '../report/segment_report.ts'
import { settleEvents } from '../runs/events.ts'
import { RUN_FILES } from '../runs/folder.ts'
import type { SegmentRun } from '../runs/kinds.ts'
import { isFinished } from '../runs/read.ts'
import type { SplitPart } from '../schema/case.ts'
import { mayShowPixels } from '../schema/data.ts'
import { UserError } from '../schema/errors.ts'
import { type MaskInference, SegmentEvaluation } from '../schema/evaluation_segment.ts'
import type { SegmentPrediction } from '../schema/prediction.ts'
import type { EvaluateConfig } from '../schema/recipe.ts'
import { removeAll, sha256, writeAtomic } from '../storage/local.ts'
import { chooseInference, mirrorAxes } from './choose_inference.ts'
import type { EvaluateOptions } from './evaluate.ts'
import { evaluateOverrides } from './evaluate_overrides.ts'
import { withTemporaryFolder } from './export_run.ts'
import type { Io } from './io.ts'
import { isSynthetic } from './is_synthetic.ts'
import { loadRecipe } from './load_recipe.ts'
import { maskFileName } from './mask_file_name.ts'
import { type PredictedCase, predictedPart } from './predicted_part.ts'
import { maskPairOf } from './read_masks.ts'
import { readSegmentEvaluation } from './read_segment_evaluation.ts'
import { leakWarnings, readSplit, validationWarnings } from './run_split.ts'
import { segmentFigures } from './segment_figures.ts'
import { countTestOpenings, noteTestOpening } from './test_openings.ts'

/**
 * Evaluates a segmentation run's best checkpoint on one part of its split: masks on the grids of the patients' own files
 * are written into the run, measured against the reference masks, and reported. How masks come about (mirroring,
 * largest pieces) is chosen on validation and applied unchanged to any other part.
 *
 * @throws {UserError} when the training has not finished, or files of the data set are gone
 */
export async function evaluateSegmentRun(
  run: SegmentRun,
  options: EvaluateOptions,
  io: Io,
): Promise<SegmentEvaluation> {
  const part = options.split
  if (part === 'all')
    throw new UserError(
      'A run is evaluated on one part of its split: --split val, test or train.\n' +
        '  do: for other data, evaluate its package with --data other.yaml --split all.',
    )
  if (!isFinished(run.status))
    throw new UserError(
      `The training of ${run.dir} has not finished (${run.status}).\n  do: run "fiducial train" with its recipe; it resumes.`,
    )
  const { recipe } = await loadRecipe(join(run.dir, RUN_FILES.recipe), evaluateOverrides(options.set ?? []))
  const config = { ...recipe.evaluate, ...(options.subgroups && { subgroups: options.subgroups }) }
  const split = await readSplit(run)
  if (split && split.cases[part] === 0)
    throw new UserError(
      `The split of ${run.id} has no ${part} cases.\n  do: evaluate other data with the run's package and --data.`,
    )
  const fixed = part === 'val' ? null : await inferenceOf(run, config, io)
  const test_openings =
    part === 'test'
      ? await noteTestOpening(run.dir, { time: io.now().toISOString(), step: run.best?.step ?? null })
      : await countTestOpenings(run.dir)
  return withTemporaryFolder(async (folder) => {
    const tried = fixed?.mirror ?? mirrorAxes(config, run.config)
    io.log(`Segmenting the ${part} split with step ${run.best?.step}`)
    const cases = await predictedPart(run, part, folder, { mirror: tried, checkpoint: 'best' }, io)
    const inference = fixed ?? (await chooseInference(cases, config, run.config, tried))
    if (fixed === null) for (const reason of inference.reasons) io.log(`auto: evaluate.${reason}`)
    const { measured, masks, digest } = await measureAll(run, part, cases, inference, config, io)
    const evaluation: SegmentEvaluation = {
      ...evaluateSegments(measured, {
        labels: Object.fromEntries(run.config.task.structures.map(({ name, values }) => [name, values])),
        surface_tolerance_mm: config.surface_tolerance_mm,
        ...unitOf(cases[0]?.source ?? {}),
        source: run.id,
        split: part,
        bootstrap: config.bootstrap,
        confidence: config.confidence,
        seed: config.seed,
        subgroups: config.subgroups,
        test_openings,
        warnings: [
          ...run.damage,
          ...leakWarnings(split),
          ...(part === 'val' ? validationWarnings(run, split, { isBest: true, test: null }) : []),
        ],
      }),
      inference,
      computed_from: { predictions_sha256: digest, evaluate: config },
    }
    SegmentEvaluation.parse(evaluation)
    const synthetic = isSynthetic(recipe, cases)
    const mayShow = mayShowPixels(recipe.data)
    await writeInto(options.out ?? run.dir, { part, evaluation, run, cases, masks, synthetic, mayShow }, io)
    return evaluation
  })
}

/** What validation fixed: as the run's evaluation says, or decided now. */
async function inferenceOf(run: SegmentRun, config: EvaluateConfig, io: Io): Promise<MaskInference> {
  const found = await readSegmentEvaluation(join(run.dir, RUN_FILES.evaluation))
  if (found?.inference) return found.inference
  const set = [
    `evaluate.mirror=${JSON.stringify(config.mirror)}`,
    `evaluate.largest_component=${config.largest_component}`,
  ]
  return (await evaluateSegmentRun(run, { split: 'val', set }, io)).inference!
}

type Mask = ReturnType<typeof labelVolume>

/** Writes the masks of a part and what they are, and measures them. */
async function measureAll(
  run: SegmentRun,
  part: SplitPart,
  cases: readonly PredictedCase[],
  inference: MaskInference,
  config: EvaluateConfig,
  io: Io,
): Promise<{ measured: SegmentCase[]; masks: (one: PredictedCase) => Promise<Mask>; digest: string }> {
  const { task } = run.config
  const which = inference.mirror.length > 0 ? 'mirrored' : 'plain'
  const masks = async (one: PredictedCase) =>
    labelVolume(await one.probabilities(which), one.source, task, inference.largest_component)
  const folder = join(run.dir, RUN_FILES.predictions)
  await removeAll(join(folder, part))
  const measured: SegmentCase[] = []
  const lines: SegmentPrediction[] = []
  const labels = Object.fromEntries(task.structures.map(({ name, values }) => [name, values]))
  const names = new Set<string>()
  for (const [i, one] of cases.entries()) {
    io.signal.throwIfAborted()
    const { case_id, patient_id, attributes } = one
    const prediction = await masks(one)
    const { encode, ending } = maskEncoding(one.source)
    const bytes = await encode(prediction)
    const mask = join(part, maskFileName(case_id, names, ending))
    await writeAtomic(join(folder, mask), bytes)
    lines.push({ case_id, patient_id, mask, mask_sha256: sha256(bytes), attributes })
    const reference = await one.reference()
    const pair = maskPairOf({ prediction, reference })
    const { per_label } = measureMasks(pair, labels, config.surface_tolerance_mm)
    measured.push({ case_id, patient_id, attributes, per_label })
    if ((i + 1) % 25 === 0) io.log(`measured ${i + 1} of ${cases.length} cases`)
  }
  const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('')
  await writeAtomic(join(folder, `${part}.jsonl`), text)
  return { measured, masks, digest: sha256(text) }
}

async function writeInto(
  dir: string,
  made: {
    part: SplitPart
    evaluation: SegmentEvaluation
    run: SegmentRun
    cases: readonly PredictedCase[]
    masks: (one: PredictedCase) => Promise<Mask>
    synthetic: boolean
    /** Images, not only masks. */
    mayShow: boolean
  },
  io: Io,
): Promise<void> {
  const { part, evaluation, run, cases, masks, synthetic, mayShow } = made
  const suffix = part === 'val' ? '' : `-${part}`
  const byId = new Map(cases.map((one) => [one.case_id, one]))
  const { figures, warnings } = await segmentFigures(evaluation, async (case_id) => {
    const one = byId.get(case_id)!
    return {
      prediction: await masks(one),
      reference: await one.reference(),
      image: mayShow ? await one.image() : null,
    }
  })
  const report = renderSegmentReport({
    evaluation,
    warnings,
    title: run.id,
    synthetic,
    figures,
    events: settleEvents(run.events),
    run: run.config,
  })
  await writeAtomic(join(dir, `evaluation${suffix}.json`), `${JSON.stringify(evaluation, null, 2)}\n`)
  await writeAtomic(join(dir, `report${suffix}.html`), report)
  io.log(`wrote ${join(dir, `evaluation${suffix}.json`)} and report${suffix}.html`)
}
