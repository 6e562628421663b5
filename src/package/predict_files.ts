import { decodedBytes, readHeader } from '../imaging/header.ts'
import { extensionNote, withoutExtension } from '../imaging/image_names.ts'
import { UserError } from '../schema/errors.ts'
import type { PredictResult } from '../schema/results.ts'
import { MemoryBudget } from '../storage/memory_budget.ts'
import { type PreparedInput, prepareInput, runNetwork, score, thresholds } from './infer.ts'
import { inputSha256 } from './input_sha256.ts'
import type { LoadedPackage } from './load.ts'

/** A case to score. */
export interface InputCase {
  /** As the results name it. */
  name: string
  /** The name without its extension unless given. */
  case_id?: string
  /** An image; or one file of a volume, one a channel, or the instances of a series. */
  read(): Promise<readonly Uint8Array[]>
}

export type FilePrediction = PredictResult['predictions'][number]
export type FileFailure = PredictResult['failed'][number]
/** What an image counts at least: its file, tensors and bookkeeping take room too. */
const LEAST_BYTES = 6e6
type Ready = PreparedInput & { name: string; case_id: string; input_sha256: string; seconds: number }

/** Cases a run of the network: of volumes, which may take gigabytes to decode, one. */
const BATCH = { image: 8, volume: 1 }

/**
 * Scores cases in their order, a batch at a time; the next batch is decoded while the network works on this one.
 * Memory holds two batches, whatever the number of cases.
 *
 * @param options.signal stops between batches
 * @param options.budget of decoded pixels, shared by callers that must not decode everything at once
 */
export async function* predictFiles(
  files: Iterable<InputCase> | AsyncIterable<InputCase>,
  loaded: Pick<LoadedPackage, 'model' | 'network' | 'warnings'>,
  options: { batch?: number; signal?: AbortSignal; budget?: MemoryBudget } = {},
): AsyncGenerator<FilePrediction | FileFailure> {
  const { batch = BATCH[loaded.model.preprocess.kind], signal, budget } = options
  let running: Promise<(FilePrediction | FileFailure)[]> = Promise.resolve([])
  for await (const chunk of chunks(files, batch)) {
    if (signal?.aborted) break
    const ready = await Promise.all(chunk.map((file) => prepareFile(file, loaded, budget)))
    yield* await running
    running = scoreBatch(ready, loaded)
    // Awaited one turn later; without this a failure meanwhile would count as unhandled.
    running.catch(() => {})
  }
  yield* await running
}

/**
 * Reads and preprocesses one case; one that cannot be scored becomes its reason.
 */
export async function prepareFile(
  file: InputCase,
  loaded: Pick<LoadedPackage, 'model'>,
  budget = new MemoryBudget(Number.POSITIVE_INFINITY),
): Promise<Ready | FileFailure> {
  const start = performance.now()
  try {
    const files = await file.read()
    const header = loaded.model.preprocess.kind === 'image' ? await readHeader(files[0]!) : null
    const decoded = header === null ? 0 : decodedBytes(header)
    const prepared = await budget.run(Math.max(decoded, LEAST_BYTES), () => prepareInput(files, loaded.model))
    const seconds = (performance.now() - start) / 1000
    const case_id = file.case_id ?? withoutExtension(file.name)
    const note = header === null ? null : extensionNote(file.name, header.format)
    if (note !== null) prepared.warnings.push(note)
    return { ...prepared, name: file.name, case_id, input_sha256: inputSha256(files), seconds }
  } catch (cause) {
    if (!(cause instanceof UserError)) throw cause
    return { file: file.name, reason: cause.message }
  }
}

/** Runs the network over what could be prepared; results and reasons in the files' order. */
export async function scoreBatch(
  files: readonly (Ready | FileFailure)[],
  loaded: Pick<LoadedPackage, 'model' | 'network' | 'warnings'>,
): Promise<(FilePrediction | FileFailure)[]> {
  const { model, network } = loaded
  const ready = files.filter((file): file is Ready => 'x' in file)
  if (ready.length === 0) return files as FileFailure[]
  const start = performance.now()
  const outputs = await runNetwork(
    ready.map((file) => file.x),
    model,
    network,
  )
  const share = (performance.now() - start) / 1000 / ready.length
  return files.map((file) => {
    if (!('x' in file)) return file
    const { scores, decisions } = score(outputs[ready.indexOf(file)]!, model)
    return {
      file: file.name,
      case_id: file.case_id,
      input_sha256: file.input_sha256,
      scores,
      decisions,
      operating_points: thresholds(model),
      seconds: file.seconds + share,
      warnings: [...loaded.warnings, ...file.warnings],
    }
  })
}

async function* chunks<T>(items: Iterable<T> | AsyncIterable<T>, size: number): AsyncGenerator<T[]> {
  let chunk: T[] = []
  for await (const item of items) {
    chunk.push(item)
    if (chunk.length < size) continue
    yield chunk
    chunk = []
  }
  if (chunk.length > 0) yield chunk
}
