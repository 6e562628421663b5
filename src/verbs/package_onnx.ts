import { copyFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { evaluatePredictions } from '../evaluate/evaluate.ts'
import type { RealCase } from '../package/certify.ts'
import { externalDataFiles } from '../package/external_data.ts'
import { goldenInputs } from '../package/golden.ts'
import { networkInput, runNetwork } from '../package/infer.ts'
import {
  type GraphInput,
  givenPoints,
  graphInput,
  normalizationOf,
  onnxSpecTemplate,
  parseOnnxSpec,
  preprocessOf,
} from '../package/onnx_spec.ts'
import { openSession, type Session } from '../package/session.ts'
import { completePackage, publishPackage, refuseOccupied } from '../package/write.ts'
import { PROJECT_ROOT } from '../python/environment.ts'
import { readProvenance } from '../runs/provenance.ts'
import { UserError } from '../schema/errors.ts'
import type { Evaluation } from '../schema/evaluation.ts'
import type { ModelPackage } from '../schema/model_package.ts'
import type { OnnxSpec } from '../schema/onnx_spec.ts'
import { PREPROCESS_CODE_VERSION } from '../schema/preprocess.ts'
import { EvaluateConfig } from '../schema/recipe.ts'
import type { PackageResult } from '../schema/results.ts'
import { explain, makeFolder, readBytes, readTextIfExists, stampFile } from '../storage/local.ts'
import type { Io } from './io.ts'
import { packageResult } from './package_result.ts'
import { readYaml } from './read_yaml.ts'
import { type ReferenceCase, readReferenceCases } from './reference_cases.ts'
import { servedScores } from './served_scores.ts'

export interface PackageOnnxOptions {
  onnx: string
  /** YAML: how the model wants its images (src/schema/onnx_spec.ts). */
  preprocess?: string
  /** Table of files with the scores that the model gave where it was trained. */
  reference?: string
  /** `<name>-package` in the working directory unless given. */
  out?: string
}

/**
 * Packages a model that another tool trained: its ONNX graph, a spec of its preprocessing, and scores that it gave
 * there, against which every path from raw bytes is certified. Needs no Python.
 *
 * @throws {UserError} asking for whatever would change a score and was not said
 */
export async function packageOnnx(options: PackageOnnxOptions, io: Io): Promise<PackageResult> {
  const { onnx, reference } = options
  const weights = externalDataFiles(await readBytes(onnx), onnx)
  await refuseMissing(weights, onnx)
  const session = await openSession(onnx, { threads: 1 })
  try {
    const graph = graphInput(session.inputs, onnx)
    const spec = await readSpec(options.preprocess, graph)
    if (reference === undefined)
      throw new UserError(
        'A certificate needs scores that the model gave where it was trained.\n' +
          `  do: --reference cases.csv with the columns file, ${spec.labels.join(', ')} (scores), one row an image.`,
      )
    const cases = await readReferenceCases(reference, spec.labels)
    const out = options.out ?? `${spec.name}-package`
    const owner = { run: null, name: spec.name }
    await refuseOccupied(out, owner)
    const measured = evaluationOf(cases, spec, reference)
    const provenance = await readProvenance(PROJECT_ROOT, io.now())
    const model = modelJson(spec, graph, session, measured, provenance)
    const { inputs: golden } = await goldenInputs(model.preprocess)
    const whole = { ...model, files: {} }
    const goldenLogits = await runNetwork(
      golden.map(({ stored }) => networkInput(stored, whole)),
      whole,
      session,
    )
    io.log(`Certifying on ${golden.length} golden images and ${cases.length} reference cases`)
    const certificate = await publishPackage(out, owner, async (dir) => {
      await copyModel(onnx, weights, dir)
      return completePackage(dir, {
        model,
        golden,
        goldenLogits,
        validation: cases.map(
          (one): RealCase => ({
            file_sha256: one.file_sha256,
            read: async () => [await one.read()],
            stored: null,
            reference: () => one.scores,
            predicted: null,
          }),
        ),
        reference: `the scores in ${reference.split('/').at(-1)}`,
        evaluation: measured,
        created: io.now(),
        tolerance: spec.tolerance,
        served: servedScores,
      })
    })
    return packageResult(out, certificate)
  } finally {
    await session.close()
  }
}

async function readSpec(path: string | undefined, graph: GraphInput): Promise<OnnxSpec> {
  if (path === undefined)
    throw new UserError(
      'An ONNX file does not say how its images are prepared.\n' +
        `  do: fill this in, as the model was trained, and name the file with --preprocess:\n\n${onnxSpecTemplate(graph)}`,
    )
  const text = await readTextIfExists(path)
  if (text === null) throw new UserError(`There is no file ${path}.\n  do: check --preprocess.`)
  return parseOnnxSpec(readYaml(text, path), graph, path)
}

/** Metrics and operating points on the reference cases, where these come with truth. */
function evaluationOf(cases: readonly ReferenceCase[], spec: OnnxSpec, reference: string): Evaluation | null {
  const known = cases.filter((one) => Object.values(one.truth).some((value) => value !== null))
  if (known.length === 0) {
    if (spec.operating_point)
      throw new UserError(
        `operating_point asks for thresholds, but ${reference} has no truth_<label> column with 0 or 1.`,
      )
    return null
  }
  const { bootstrap, confidence, seed } = EvaluateConfig.parse({})
  const given = spec.thresholds
    ? ['The thresholds were given with the model, not chosen on these cases.']
    : []
  return evaluatePredictions(
    known.map((one) => ({
      case_id: one.name,
      patient_id: one.patient_id ?? one.name,
      labels: one.truth,
      logits: {},
      scores: Object.fromEntries(spec.labels.map((label, l) => [label, one.scores[l]!])),
      attributes: {},
    })),
    {
      task: { labels: spec.labels, exclusive: spec.exclusive },
      source: 'the reference cases',
      split: 'all',
      ...(spec.thresholds && { operating_points: givenPoints(spec) }),
      rule: spec.operating_point ?? { maximize: 'youden', subject_to: {} },
      chosen_on: 'the reference cases',
      bootstrap,
      confidence,
      seed,
      subgroups: [],
      clusters: known.every((one) => one.patient_id !== null) ? 'patient' : 'case',
      test_openings: 0,
      warnings: ['Whether the model was trained on these cases is not known here.', ...given],
    },
  )
}

function modelJson(
  spec: OnnxSpec,
  graph: GraphInput,
  { outputs }: Session,
  evaluation: Evaluation | null,
  provenance: Awaited<ReturnType<typeof readProvenance>>,
): Omit<ModelPackage, 'files'> {
  const preprocess = preprocessOf(spec, graph)
  return {
    format: 1,
    name: spec.name,
    version: spec.version,
    status: 'draft',
    synthetic: spec.synthetic,
    task: { kind: 'classify', labels: spec.labels, exclusive: spec.exclusive },
    preprocess,
    preprocess_code_version: PREPROCESS_CODE_VERSION,
    input: {
      name: graph.name,
      shape: [preprocess.channels, ...preprocess.size],
      dtype: graph.dtype,
      normalization: normalizationOf(spec, preprocess.dtype),
    },
    output: { name: outputs[0]!.name, activation: spec.activation },
    calibration: { kind: 'none' },
    operating_points: evaluation?.operating_points ?? givenPoints(spec),
    fingerprint: null,
    provenance: {
      ...provenance,
      recipe: null,
      recipe_hash: null,
      set_id: null,
      split_id: null,
      run: null,
      step: null,
      weights_sha256: null,
      seed: null,
    },
  }
}

async function refuseMissing(weights: readonly string[], onnx: string): Promise<void> {
  for (const name of weights) {
    const path = join(dirname(onnx), name)
    if ((await stampFile(path)) === null)
      throw new UserError(
        `${path} is missing: ${onnx} keeps its weights there.\n` +
          '  do: copy it beside the graph, under this very name, or export with external_data=False.',
      )
  }
}

async function copyModel(onnx: string, weights: readonly string[], dir: string): Promise<void> {
  await copyFile(onnx, join(dir, 'model.onnx'))
  for (const name of weights) {
    const to = join(dir, name)
    await makeFolder(dirname(to))
    await copyFile(join(dirname(resolve(onnx)), name), to).catch((cause) =>
      Promise.reject(explain(cause, to)),
    )
  }
}
