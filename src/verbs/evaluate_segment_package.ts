import { join } from 'node:path'
import { evaluateSegments, type SegmentCase } from '../evaluate/evaluate_segments.ts'
import { measureMasks } from '../evaluate/measure_masks.ts'
import { maskOnGrid } from '../imaging/mask_grid.ts'
import { unitOf } from '../imaging/preprocess_volume.ts'
import { readVolume } from '../imaging/read_volume.ts'
import { inputSha256 } from '../package/input_sha256.ts'
import { type LoadedSegmenter, loadSegmenter } from '../package/load_segmenter.ts'
import { maskEncoding } from '../package/mask_encoding.ts'
import { readAnyManifest } from '../package/read.ts'
import { privateFolder } from '../prepare/place.ts'
import { renderSegmentReport } from '../report/segment_report.ts'
import type { Case } from '../schema/case.ts'
import { mayShowPixels } from '../schema/data.ts'
import { StoppedError, UserError } from '../schema/errors.ts'
import { SegmentEvaluation } from '../schema/evaluation_segment.ts'
import { structuresOf } from '../schema/task.ts'
import { readCaseMask } from '../sources/case_mask.ts'
import { withoutIdentifiers } from '../sources/deidentify.ts'
import { readSource, type SourceData } from '../sources/read.ts'
import { count, firstFew } from '../sources/source_data.ts'
import { readBytes, writeAtomic } from '../storage/local.ts'
import { builtOnWarning } from './built_on_warning.ts'
import type { EvaluateOptions } from './evaluate.ts'
import { casesOf } from './evaluate_package.ts'
import { withTemporaryFolder } from './export_run.ts'
import type { Io } from './io.ts'
import { isSynthetic } from './is_synthetic.ts'
import type { LoadedRecipe } from './load_recipe.ts'
import { maskFileName } from './mask_file_name.ts'
import { type MaskVolumes, maskPairOf, readMaskVolumes } from './read_masks.ts'
import { segmentFigures } from './segment_figures.ts'
import { type SharedStructures, sharedStructures } from './shared_structures.ts'

/**
 * Evaluates a package that segments on the data of a recipe, external data above all. Masks are those that the package
 * predicts: the files through its own preprocessing, no Python. Structures are matched by name; what their values are in
 * the reference masks, the recipe's task says.
 *
 * @throws {UserError} when the structures do not fit, no case can be measured, or the split is one that only `prepare`
 * knows
 */
export async function evaluateSegmentPackage(
  packageDir: string,
  data: LoadedRecipe,
  options: EvaluateOptions,
  io: Io,
): Promise<SegmentEvaluation> {
  const { recipe, root } = data
  const loaded = await loadSegmenter(packageDir, { allowFailed: options.allowFailed ?? false })
  try {
    const { model, digest } = loaded
    if (recipe.task.kind !== 'segment')
      throw new UserError(
        `The package ${model.name} segments volumes; the recipe's task is ${recipe.task.kind}.`,
      )
    const shared = sharedStructures(model.task.structures, structuresOf(recipe.task))
    const source = await readSource(recipe.data, recipe.task, root, io.signal, {
      privateFolder: privateFolder({}, { mayWrite: true }),
    })
    const cases = casesOf(source, data, options.split)
    const config = { ...recipe.evaluate, ...(options.subgroups && { subgroups: options.subgroups }) }
    return await withTemporaryFolder(async (folder) => {
      const { measured, masks, failed, numUnlisted, hashes } = await measureAll(
        {
          ...{ cases, root, loaded, shared, folder },
          maskNames: source.volumes?.maskNames ?? null,
          tolerance_mm: config.surface_tolerance_mm,
        },
        io,
      )
      if (measured.length === 0)
        throw new UserError(
          `None of the ${count(cases.length, 'case')} could be measured: ${source.deidentified ? withoutIdentifiers(failed[0]!.reason, [root]) : failed[0]!.reason}`,
        )
      const { certificate } = await readAnyManifest(loaded.dir)
      const evaluation: SegmentEvaluation = {
        ...evaluateSegments(measured, {
          labels: shared.labels,
          surface_tolerance_mm: config.surface_tolerance_mm,
          ...unitOf(model.preprocess),
          source: `package ${model.name} ${digest.slice(0, 12)} on ${recipe.name}`,
          split: options.split,
          bootstrap: config.bootstrap,
          confidence: config.confidence,
          seed: config.seed,
          subgroups: config.subgroups,
          test_openings: 0,
          warnings: [
            ...loaded.warnings,
            ...(await builtOnWarning(certificate, {
              cases: source.cases,
              root,
              part: options.split,
              hashes,
            })),
            ...warningsOf(source, shared, failed, numUnlisted),
            ...(options.split === 'test'
              ? ['Openings of a test split are counted for runs only, not for packages.']
              : []),
          ],
        }),
        inference: model.inference,
      }
      SegmentEvaluation.parse(evaluation)
      if (options.out !== undefined) {
        const synthetic = source.synthetic || model.synthetic || isSynthetic(recipe, cases)
        const about = { title: `${model.name} on ${recipe.name}`, synthetic }
        await writeReport(
          options.out,
          evaluation,
          about,
          { cases, root, masks, mayShow: mayShowPixels(recipe.data) },
          io,
        )
      }
      return evaluation
    })
  } finally {
    await loaded.close()
  }
}

interface Measuring {
  cases: readonly Case[]
  root: string
  loaded: LoadedSegmenter
  shared: SharedStructures
  /** Of the data's DICOM masks; null: their own numbers. */
  maskNames: Readonly<Record<string, number>> | null
  /** For translated masks, which the report draws. */
  folder: string
  tolerance_mm: number
}

interface Measured {
  measured: SegmentCase[]
  /** Case id → files of its translated masks. */
  masks: Map<string, { prediction: string; reference: string }>
  failed: { file: string; reason: string }[]
  /** `input_sha256` of the cases measured. */
  hashes: string[]
  /** Cases whose reference has values that the recipe's task does not name. */
  numUnlisted: number
}

async function measureAll(
  { cases, root, loaded, shared, maskNames, folder, tolerance_mm }: Measuring,
  io: Io,
): Promise<Measured> {
  const found: Measured = { measured: [], masks: new Map(), failed: [], hashes: [], numUnlisted: 0 }
  const names = new Set<string>()
  for (const [i, one] of cases.entries()) {
    if (io.signal.aborted)
      throw new StoppedError('Stopped; nothing was written. The same command starts over.')
    const { case_id, patient_id, attributes } = one
    try {
      const { prediction, reference, input_sha256, isUnlisted } = await translatedMasks(one, {
        root,
        loaded,
        shared,
        maskNames,
      })
      const { per_label } = measureMasks(maskPairOf({ prediction, reference }), shared.labels, tolerance_mm)
      const { encode, ending } = maskEncoding(loaded.model.preprocess)
      const name = maskFileName(case_id, names, ending)
      const files = { prediction: join(folder, `p-${name}`), reference: join(folder, `r-${name}`) }
      await writeAtomic(files.prediction, await encode(prediction))
      await writeAtomic(files.reference, await encode(reference))
      found.masks.set(case_id, files)
      found.measured.push({ case_id, patient_id, attributes, per_label })
      found.hashes.push(input_sha256)
      if (isUnlisted) found.numUnlisted++
    } catch (cause) {
      if (!(cause instanceof UserError)) throw cause
      found.failed.push({ file: case_id, reason: cause.message })
    }
    io.progress?.(`${i + 1} of ${cases.length} cases measured`)
  }
  return found
}

/** @throws {UserError} when a file cannot be read, or the reference lies on another grid than the images */
async function translatedMasks(
  { images, mask }: Case,
  { root, loaded, shared, maskNames }: Pick<Measuring, 'root' | 'loaded' | 'shared' | 'maskNames'>,
): Promise<MaskVolumes & { input_sha256: string; isUnlisted: boolean }> {
  if (mask === undefined) throw new UserError('It has no reference mask.')
  const files = await Promise.all(images.map((path) => readBytes(join(root, path))))
  const { mask: prediction } = await loaded.segment(files)
  const drawn = await readCaseMask(
    images.map((path) => join(root, path)),
    join(root, mask),
    maskNames,
  )
  const reference = maskOnGrid(drawn, prediction)
  const data = shared.ofData(reference.data)
  return {
    prediction: { ...prediction, data: shared.ofPackage(prediction.data) },
    reference: { ...reference, data },
    input_sha256: inputSha256(files),
    isUnlisted: data.some((value, i) => value === 0 && reference.data[i] !== 0),
  }
}

function warningsOf(
  source: SourceData,
  { unmeasured }: SharedStructures,
  failed: readonly { file: string }[],
  numUnlisted: number,
): string[] {
  const lost = [...source.skipped, ...failed]
  return [
    ...source.warnings,
    ...(unmeasured.length > 0
      ? [`Not evaluated, as the recipe names no such structure: ${unmeasured.join(', ')}.`]
      : []),
    ...(numUnlisted > 0
      ? [
          `${count(numUnlisted, 'reference')} with values that the recipe's task does not name: they count as background.`,
        ]
      : []),
    ...(lost.length > 0
      ? [
          `${count(lost.length, 'case')} could not be measured and ${lost.length === 1 ? 'is' : 'are'} in no number: ` +
            `${firstFew(lost.map(({ file }) => file))}.`,
        ]
      : []),
  ]
}

async function writeReport(
  out: string,
  evaluation: SegmentEvaluation,
  about: { title: string; synthetic: boolean },
  {
    cases,
    root,
    masks,
    mayShow,
  }: Pick<Measured, 'masks'> & Pick<Measuring, 'cases' | 'root'> & { mayShow: boolean },
  io: Io,
): Promise<void> {
  const byId = new Map(cases.map((one) => [one.case_id, one]))
  const { figures, warnings } = await segmentFigures(evaluation, async (case_id) => {
    const drawn = await readMaskVolumes(masks.get(case_id)!)
    if (!mayShow) return { ...drawn, image: null }
    const files = await Promise.all(byId.get(case_id)!.images.map((path) => readBytes(join(root, path))))
    return { ...drawn, image: (await readVolume(files)).volume }
  })
  await writeAtomic(join(out, 'evaluation.json'), `${JSON.stringify(evaluation, null, 2)}\n`)
  await writeAtomic(
    join(out, 'report.html'),
    renderSegmentReport({ ...about, evaluation, figures, warnings }),
  )
  io.log(`wrote ${join(out, 'evaluation.json')} and report.html`)
}
