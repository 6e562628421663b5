import type { StoredVoxels } from '../imaging/store_volume.ts'
import { UserError } from '../schema/errors.ts'
import type { Certificate, ModelPackage } from '../schema/model_package.ts'
import type { GoldenCase } from './golden.ts'
import {
  activate,
  decide,
  type InputArray,
  networkInput,
  type PreparedInput,
  prepareInput,
  runNetwork,
} from './infer.ts'
import type { LoadedPackage } from './load.ts'

export type Check = Certificate['checks'][number]

/** Batch sizes at which every case is scored: dynamic batches have known traps in exports. */
export const CERTIFIED_BATCHES = [1, 2, 7] as const

/** A real case: its files as they lie in the data set, and what the reference says of it. */
export interface RealCase {
  /** Of several files that of their hashes. */
  file_sha256: string
  /** An image; or one file of a volume, one a channel, or the instances of a series. */
  read(): Promise<readonly Uint8Array[]>
  /** Stored values that the network was trained and measured on; null for others' models, which have none. */
  stored: StoredVoxels | null
  /** Scores [L] by the reference, as batch size → scores; one reference may stand for all sizes. */
  reference: (batch: number) => readonly number[]
  /** What the run's own validation said, where there was one. */
  predicted: readonly number[] | null
}

export interface CertifyOptions {
  tolerance: number
  /** Scores [N][L] of cases through the server: their files' bytes in over HTTP, JSON out. */
  served: ((cases: readonly (readonly Uint8Array[])[]) => Promise<number[][]>) | null
}

/**
 * Measures that a package computes what was trained: on its golden phantoms and on real cases, from the stored
 * tensors through onnxruntime, and from the files' bytes through the inference path and through the server, at every
 * certified batch size. No score may differ by more than the tolerance, no decision at all.
 *
 * @returns every check with what was measured and its limit; failing ones are returned, not thrown
 */
export async function certify(
  loaded: Pick<LoadedPackage, 'model' | 'network'>,
  golden: readonly GoldenCase[],
  validation: readonly RealCase[],
  options: CertifyOptions,
): Promise<Check[]> {
  return [
    ...(await checkGolden(loaded, golden, options)),
    ...(await checkRealCases(loaded, validation, options)),
  ]
}

async function checkGolden(
  loaded: Pick<LoadedPackage, 'model' | 'network'>,
  golden: readonly GoldenCase[],
  { tolerance, served }: CertifyOptions,
): Promise<Check[]> {
  const { model } = loaded
  const worst = { lossless: 0, lossy: 0 }
  const readable: GoldenCase[] = []
  const inputs: InputArray[] = []
  for (const one of golden) {
    const prepared = await prepareInput([one.bytes], model).catch((cause) => {
      if (cause instanceof UserError) return null
      throw cause
    })
    if (!prepared) continue
    const kind = one.tolerance === 0 ? 'lossless' : 'lossy'
    worst[kind] = Math.max(worst[kind], largestDifference(prepared.stored.data, one.tensor))
    readable.push(one)
    inputs.push(prepared.x)
  }
  const reference = readable.map(({ scores }) =>
    model.task.labels.map((label) => scores[label] ?? Number.NaN),
  )
  const compare = (name: string, found: Scores) =>
    new Comparison(name, model, tolerance).add(reference, found).checks()
  const checks = [
    limited('golden_unreadable', golden.length - readable.length, 0),
    limited('golden_tensors', worst.lossless, 0),
    limited('golden_tensors_lossy', worst.lossy, Math.max(0, ...golden.map((g) => g.tolerance))),
  ]
  for (const batch of CERTIFIED_BATCHES) {
    const scores = await scoresInBatches(inputs, batch, loaded)
    checks.push(...compare(`golden_batch_${batch}`, scores))
  }
  checks.push(await checkLogits(loaded, readable, inputs, tolerance))
  if (served && readable.length > 0)
    checks.push(
      ...compare(
        'golden_served',
        await servedCases(
          readable.map(({ bytes }) => ({ read: async () => [bytes] })),
          model,
          served,
        ),
      ),
    )
  return checks
}

/** Scores near 0 or 1 hardly move whatever happens; logits, relative to their size, tell. */
async function checkLogits(
  loaded: Pick<LoadedPackage, 'model' | 'network'>,
  golden: readonly GoldenCase[],
  inputs: readonly InputArray[],
  tolerance: number,
): Promise<Check> {
  let worst = 0
  for (const [i, { logits }] of golden.entries()) {
    const [found] = await runNetwork([inputs[i]!], loaded.model, loaded.network)
    for (const [l, expected] of logits.entries())
      worst = Math.max(worst, Math.abs(found![l]! - expected) / Math.max(1, Math.abs(expected)))
  }
  return limited('golden_logits_relative_difference', worst, 10 * tolerance)
}

async function checkRealCases(
  loaded: Pick<LoadedPackage, 'model' | 'network'>,
  cases: readonly RealCase[],
  options: CertifyOptions,
): Promise<Check[]> {
  const { model } = loaded
  const kind = realCasesOf(model)
  const compared = new Map<string, Comparison>()
  const compare = (name: string, reference: Scores, found: Scores) => {
    if (!compared.has(name)) compared.set(name, new Comparison(name, model, options.tolerance))
    compared.get(name)!.add(reference, found)
  }
  let otherTensors: number | null = null
  // A chunk that every certified batch size divides bounds memory and leaves no batch half full but the last.
  for (const chunk of chunks(cases, 14)) {
    const reference = (batch: number) => chunk.map((one) => one.reference(batch))
    const prepared = await prepareCases(chunk, model)
    const fromFile = prepared.map(({ x }) => x)
    const fromShard = chunk.flatMap(({ stored }) => (stored ? [networkInput({ data: stored }, model)] : []))
    if (fromShard.length === chunk.length) {
      const differ = chunk.filter((one, i) => largestDifference(prepared[i]!.stored.data, one.stored!) > 0)
      otherTensors = (otherTensors ?? 0) + differ.length
    }
    for (const batch of CERTIFIED_BATCHES) {
      if (fromShard.length === chunk.length)
        compare(
          `${kind}_stored_batch_${batch}`,
          reference(batch),
          await scoresInBatches(fromShard, batch, loaded),
        )
      const scores = await scoresInBatches(fromFile, batch, loaded)
      compare(`${kind}_file_batch_${batch}`, reference(batch), scores)
    }
    if (options.served)
      compare(`${kind}_served`, reference(1), await servedCases(chunk, model, options.served))
    const predicted = chunk.flatMap((one) => (one.predicted ? [one.predicted] : []))
    // The engine writes predictions in exact float32 on any device, so they are held to the same limit.
    if (predicted.length === chunk.length) compare(`${kind}_predictions`, predicted, reference(1))
  }
  return [
    ...(otherTensors === null ? [] : [limited(`${kind}_tensors`, otherTensors, 0)]),
    ...[...compared.values()].flatMap((comparison) => comparison.checks()),
  ]
}

/** Images all at once; of volumes, which may take gigabytes each, one after the other. */
async function prepareCases(
  cases: readonly RealCase[],
  model: ModelPackage,
): Promise<Pick<PreparedInput, 'stored' | 'x'>[]> {
  if (model.preprocess.kind === 'image')
    return Promise.all(cases.map(async (one) => prepareInput(await one.read(), model)))
  const prepared: Pick<PreparedInput, 'stored' | 'x'>[] = []
  for (const one of cases) prepared.push(await prepareInput(await one.read(), model))
  return prepared
}

async function servedCases(
  cases: readonly Pick<RealCase, 'read'>[],
  model: ModelPackage,
  served: NonNullable<CertifyOptions['served']>,
): Promise<number[][]> {
  if (model.preprocess.kind === 'image') return served(await Promise.all(cases.map((one) => one.read())))
  const scores: number[][] = []
  for (const one of cases) scores.push(...(await served([await one.read()])))
  return scores
}

/**
 * What the real cases are, as their checks' names begin: a run's own validation cases, or the reference cases that a
 * model of another tool came with.
 */
export const realCasesOf = ({ provenance }: Pick<ModelPackage, 'provenance'>) =>
  provenance.run === null ? 'reference' : 'validation'

/**
 * Scores [N][L] with the network run on exactly `batch` inputs at a time; the last run is filled up with the first
 * inputs.
 */
export async function scoresInBatches(
  inputs: readonly InputArray[],
  batch: number,
  { model, network }: Pick<LoadedPackage, 'model' | 'network'>,
): Promise<number[][]> {
  const scores: number[][] = []
  for (let start = 0; start < inputs.length; start += batch) {
    const group = Array.from({ length: batch }, (_, i) => inputs[(start + i) % inputs.length]!)
    const outputs = await runNetwork(group, model, network)
    scores.push(...outputs.map((row) => activate(row, model.output.activation)))
  }
  return scores.slice(0, inputs.length)
}

type Scores = readonly (readonly number[])[]

/** Reference against found, over any number of chunks: the largest difference in probability, decisions that differ. */
class Comparison {
  private difference = 0
  private flips = 0
  private readonly name: string
  private readonly model: ModelPackage
  private readonly tolerance: number

  constructor(name: string, model: ModelPackage, tolerance: number) {
    this.name = name
    this.model = model
    this.tolerance = tolerance
  }

  add(reference: Scores, found: Scores): this {
    for (const [n, expected] of reference.entries()) {
      const scores = found[n]!
      // NaN, from a label without a reference, stays in the maximum and then fails the limit.
      for (const [l, p] of expected.entries())
        this.difference = Math.max(this.difference, Math.abs(scores[l]! - p))
      const a = decide(expected, this.model)
      const b = decide(scores, this.model)
      this.flips += this.model.task.labels.filter((label) => a[label] !== b[label]).length
    }
    return this
  }

  checks(): Check[] {
    return [
      limited(`${this.name}_difference`, this.difference, this.tolerance),
      limited(`${this.name}_flips`, this.flips, 0),
    ]
  }
}

/** Every check passed, and there were some. */
export function hasPassed(checks: readonly Check[]): boolean {
  return checks.length > 0 && checks.every((check) => check.passed)
}

/** Scores as certificate.json keeps them: hashes, never pixels or names. */
export function validationRecord(
  cases: readonly RealCase[],
  labels: readonly string[],
): Certificate['validation'] {
  return cases.map((one) => ({
    file_sha256: one.file_sha256,
    scores: Object.fromEntries(labels.map((label, l) => [label, one.reference(1)[l]!])),
  }))
}

/** A check that a measured number stays within its limit. */
export function limited(name: string, value: number, limit: number): Check {
  const passed = value <= limit
  // JSON has no NaN.
  return { name, passed, value: Number.isFinite(value) ? value : String(value), limit }
}

/** Infinite for arrays of other lengths; NaN stays NaN, which fails any limit. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY
  let largest = 0
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i]! - b[i]!))
  return largest
}

function* chunks<T>(items: readonly T[], size: number): Generator<T[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size)
}
