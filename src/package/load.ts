import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { UserError } from '../schema/errors.ts'
import type { ModelPackage } from '../schema/model_package.ts'
import type { PredictResult } from '../schema/results.ts'
import type { Network } from './infer.ts'
import { type InputCase, predictFiles } from './predict_files.ts'
import { findDamage, type PackageManifest, readManifest, refuseDamage, refuseUncertified } from './read.ts'
import { openSession, type Session, type TensorInfo } from './session.ts'

export interface LoadOptions {
  /** Threads of one run of the network; all cores but at most 4 unless given. */
  threads?: number
  /** Open a package whose certificate is missing, failed or outdated. Its results then carry a warning. */
  allowFailed?: boolean
}

/** A package ready to score images or volumes, without Python. */
export interface LoadedPackage {
  dir: string
  model: ModelPackage
  /** SHA-256 that names the package in every result. */
  digest: string
  /** Why the certificate does not vouch for the package; null when it does. */
  problem: string | null
  network: Network
  /** Warnings that hold for every result of this package. */
  warnings: string[]
  /**
   * Scores cases, in their order; an unreadable one is listed in `failed`. Of a volume of several files (one a channel,
   * or the instances of a series) `bytes` are a list.
   */
  predict(
    cases: readonly { name: string; bytes: Uint8Array | readonly Uint8Array[] }[],
  ): Promise<PredictResult>
  close(): Promise<void>
}

/**
 * Opens a model package: compares every file with its hash, reads the certificate, loads the network.
 *
 * ```ts
 * const pneumonia = await loadPackage('runs/chest/package')
 * const { predictions } = await pneumonia.predict([{ name: 'a.png', bytes: await readFile('a.png') }])
 * ```
 * @throws {UserError} when the folder is no package, is damaged, or is not certified (unless `allowFailed`)
 */
export async function loadPackage(dir: string, options: LoadOptions = {}): Promise<LoadedPackage> {
  const manifest = await readManifest(dir)
  const problem = refuseUncertified(manifest, options)
  // The network loads in its own thread while the files are hashed here; damage is told before what it led to.
  const opening = openPackage(manifest, problem, options)
  opening.catch(() => {})
  try {
    refuseDamage(await findDamage(manifest))
  } catch (cause) {
    const loaded = await opening.catch(() => null)
    await loaded?.close()
    throw cause
  }
  return opening
}

/** The package's network and predict function, unchecked: `findDamage` and `certificateProblem` are the caller's. */
export async function openPackage(
  manifest: PackageManifest,
  problem: string | null,
  options: Pick<LoadOptions, 'threads'> = {},
): Promise<LoadedPackage> {
  const { model, digest } = manifest
  const path = join(manifest.dir, 'model.onnx')
  const session = await openSession(path, {
    threads: options.threads ?? Math.min(4, availableParallelism()),
    input: model.input.name,
    output: model.output.name,
  })
  try {
    checkGraph(session, model, path)
  } catch (cause) {
    await session.close()
    throw cause
  }
  const loaded: LoadedPackage = {
    dir: manifest.dir,
    model,
    digest,
    problem,
    network: session,
    warnings: packageWarnings(model, problem),
    async predict(cases) {
      const inputs: InputCase[] = cases.map(({ name, bytes }) => ({
        name,
        read: async () => (bytes instanceof Uint8Array ? [bytes] : bytes),
      }))
      const result: PredictResult = { predictions: [], failed: [], package_digest: digest }
      for await (const one of predictFiles(inputs, loaded)) {
        if ('reason' in one) result.failed.push(one)
        else result.predictions.push(one)
      }
      return result
    },
    close: () => session.close(),
  }
  return loaded
}

/**
 * Compares the graph's input and output with model.json.
 *
 * @throws {UserError} naming the file, what was expected and what it has
 */
export function checkGraph(
  graph: Pick<Session, 'inputs' | 'outputs'>,
  model: Pick<ModelPackage, 'input' | 'output' | 'task'>,
  path: string,
): void {
  const problem = misfit(graph, model)
  if (problem === null) return
  throw new UserError(
    `${path} does not fit its model.json: ${problem}\n` +
      `  do: export with an input [batch, channels, ${model.input.shape.length === 3 ? 'rows, columns' : 'z, y, x'}] of these sizes, its batch dynamic.`,
  )
}

function misfit(
  graph: Pick<Session, 'inputs' | 'outputs'>,
  { input, output, task }: Pick<ModelPackage, 'input' | 'output' | 'task'>,
): string | null {
  const found = graph.inputs.find((i) => i.name === input.name)
  if (!found) return `it has no input "${input.name}", only ${names(graph.inputs)}.`
  const others = graph.inputs.filter((i) => i.name !== input.name)
  if (others.length > 0) return `it needs further inputs: ${names(others)}.`
  if (found.dtype !== input.dtype)
    return `input "${input.name}" is ${found.dtype}, model.json says ${input.dtype}.`
  const expected = ['batch', ...input.shape]
  const fits =
    found.shape.length === expected.length &&
    typeof found.shape[0] === 'string' &&
    found.shape.slice(1).every((dim, i) => typeof dim === 'string' || dim === expected[i + 1])
  if (!fits) return `input "${input.name}" is [${found.shape.join(', ')}], expected [${expected.join(', ')}].`
  const out = graph.outputs.find((o) => o.name === output.name)
  if (!out) return `it has no output "${output.name}", only ${names(graph.outputs)}.`
  const L = task.labels.length
  const last = out.shape.at(-1)
  const isVector = out.shape.length === 1 && L === 1
  if (!isVector && (out.shape.length !== 2 || (typeof last === 'number' && last !== L)))
    return `output "${output.name}" is [${out.shape.join(', ')}], expected [batch, ${L}], one a label.`
  return null
}

function packageWarnings(model: ModelPackage, problem: string | null): string[] {
  const warnings: string[] = []
  if (model.synthetic)
    warnings.push('The model was trained on synthetic phantom images: not for any use on patients.')
  if (problem !== null) warnings.push(`The package is not certified: ${problem}.`)
  if (model.status === 'retired') warnings.push('The package is retired.')
  for (const point of Object.values(model.operating_points))
    if (!point.attained)
      warnings.push(`No threshold of ${point.label} met its rule on ${point.chosen_on}; the nearest is used.`)
  if (!model.task.exclusive)
    for (const label of model.task.labels)
      if (!Object.hasOwn(model.operating_points, label))
        warnings.push(`${label} has no operating point: a score, no decision.`)
  return warnings
}

const names = (values: readonly TensorInfo[]) => values.map((v) => `"${v.name}"`).join(', ') || 'none'
