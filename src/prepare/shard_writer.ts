import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { decodedBytes, readHeader } from '../imaging/header.ts'
import { extensionNote } from '../imaging/image_names.ts'
import { preprocess, type StoredTensor } from '../imaging/preprocess.ts'
import type { Case } from '../schema/case.ts'
import { UserError } from '../schema/errors.ts'
import type { ImageSpec } from '../schema/preprocess.ts'
import type { Quarantined, ShardCase } from '../schema/shard_set.ts'
import type { ShardReport, StagedSource } from '../schema/staging.ts'
import {
  explain,
  makeFolder,
  move,
  readBytes,
  removeAll,
  sha256,
  sha256File,
  stampFile,
  writeAtomic,
} from '../storage/local.ts'
import { MemoryBudget } from '../storage/memory_budget.ts'
import { encodeSafetensors, singleTensorHeader } from '../storage/safetensors.ts'
import { shardFiles } from './shard_layout.ts'
import { reasonOf, unreadCase } from './unreadable.ts'

export interface ShardJob {
  name: string
  /** In row order. Paths are relative to the data root. */
  cases: Pick<Case, 'case_id' | 'images' | 'mask'>[]
}

export interface ShardContext {
  /** Staging folder: `set/shards/` and `private/` are below it. */
  folder: string
  /** Data root. */
  root: string
  spec: ImageSpec
  /** The quarantine names cases, not files. */
  deidentified: boolean
  /** Called with the number of cases done since the last call. */
  onProgress(cases: number): void
}

/** Cases read and decoded ahead of the one being written: the decoder's threads and the resize overlap. */
const READ_AHEAD = 2
/** Bytes of files and of decoded images held at once, unless one alone is larger. */
const FILE_BYTES = 16e6
const DECODED_BYTES = 16e6
/** After such an image memory is given back at once: the collector does not see how much the decoder holds. */
const LARGE_IMAGE_BYTES = 8e6

/**
 * Makes one shard: decodes its cases in order and streams them to disk, so that memory is that of a few images
 * whatever the shard's size. A case that cannot be read is listed with its reason and takes no row. Each file is
 * flushed and renamed into place; the report comes last.
 *
 * @throws {UserError} when the disk is full or the folder cannot be written
 */
export async function writeShard(job: ShardJob, context: ShardContext): Promise<ShardReport> {
  const { spec } = context
  const folder = join(context.folder, 'set')
  await makeFolder(join(folder, 'shards'))
  await makeFolder(join(context.folder, 'private'), { isPrivate: true })
  const files = shardFiles(job.name)
  const shape: [number, number, number] = [spec.channels, ...spec.size]
  const rows = new RowFile(join(folder, files.tensors), spec, job.cases.length)
  const cases: ShardCase[] = []
  const sources: StagedSource[] = []
  const quarantined: Quarantined[] = []
  const tally = { notes: {}, formats: {}, heights: {}, widths: {} } satisfies Record<string, Tally>
  try {
    for await (const { source, tensor, reason } of decoded(job, context)) {
      sources.push(source)
      const { case_id } = source
      const { path, sha256 } = source.files[0]!
      if (tensor === null) {
        quarantined.push(unreadCase({ case_id, file: path, reason }, context))
      } else {
        await rows.append(tensor)
        cases.push({
          case_id,
          tensor: 'image',
          row: cases.length,
          shape,
          dtype: spec.dtype,
          sha256: sha256!,
        })
        const { format, bits, channels, height, width } = tensor.source
        count(tally.formats, `${format}/${bits}-bit/${COLOURS[channels]}`)
        count(tally.heights, String(height))
        count(tally.widths, String(width))
        const misnamed = extensionNote(path, format)
        for (const note of [...tensor.notes, ...(misnamed === null ? [] : [misnamed])])
          count(tally.notes, note)
      }
      context.onProgress(1)
    }
    const shard = cases.length === 0 ? await rows.discard() : await rows.finish(cases, folder, files)
    await writeAtomic(join(context.folder, `private/${job.name}.sources.jsonl`), lines(sources), {
      isPrivate: true,
    })
    const report: ShardReport = { shard, quarantined, ...tally }
    await writeAtomic(join(folder, files.report), `${JSON.stringify(report)}\n`)
    return report
  } catch (error) {
    await rows.discard()
    throw error
  }
}

interface Decoded {
  source: StagedSource
  tensor: StoredTensor | null
  reason: string
}

async function* decoded(job: ShardJob, context: ShardContext): AsyncGenerator<Decoded> {
  const budgets = { files: new MemoryBudget(FILE_BYTES), pixels: new MemoryBudget(DECODED_BYTES) }
  const ahead: Promise<Decoded>[] = []
  let next = 0
  for (let at = 0; at < job.cases.length; at++) {
    while (next < job.cases.length && ahead.length <= READ_AHEAD) {
      const pending = decode(job.cases[next++]!, context, budgets)
      pending.catch(() => {}) // awaited below, in order
      ahead.push(pending)
    }
    yield await ahead.shift()!
  }
}

async function decode(
  one: ShardJob['cases'][number],
  context: ShardContext,
  budgets: { files: MemoryBudget; pixels: MemoryBudget },
): Promise<Decoded> {
  const file: StagedSource['files'][number] = { path: one.images[0]!, stamp: null, sha256: null }
  const source: StagedSource = { case_id: one.case_id, files: [file] }
  try {
    const path = join(context.root, file.path)
    file.stamp = await stampFile(path)
    if (file.stamp === null)
      throw new UserError('There is no such file. Restore it, or take its line out of the table.')
    const tensor = await budgets.files.run(file.stamp.size, async () => {
      const bytes = await readBytes(path)
      file.sha256 = sha256(bytes)
      const size = decodedBytes(await readHeader(bytes))
      return budgets.pixels
        .run(size, () => preprocess(bytes, context.spec))
        .finally(() => {
          if (size > LARGE_IMAGE_BYTES) globalThis.gc?.()
        })
    })
    return { source, tensor, reason: '' }
  } catch (error) {
    return { source, tensor: null, reason: reasonOf(error) }
  }
}

/** The `image` tensor of a shard, streamed row by row into a temporary file. */
class RowFile {
  readonly #path: string
  readonly #temporary: string
  readonly #spec: ImageSpec
  readonly #planned: number
  #file: Awaited<ReturnType<typeof open>> | null = null
  readonly #sums: number[] = []
  readonly #squares: number[] = []
  #rows = 0
  #end = 0

  constructor(path: string, spec: ImageSpec, planned: number) {
    this.#path = path
    this.#temporary = `${path}.${process.pid}.tmp`
    this.#spec = spec
    this.#planned = planned
  }

  async append(tensor: StoredTensor): Promise<void> {
    const { channels, size, dtype } = this.#spec
    const pixels = size[0] * size[1]
    if (tensor.data.length !== channels * pixels || tensor.dtype !== dtype)
      throw new Error(`preprocess gave ${tensor.dtype} [${tensor.shape}] for ${dtype} [${channels},${size}]`)
    const bytes = new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength)
    await this.#guard(async () => {
      if (this.#file === null) {
        this.#file = await open(this.#temporary, 'w')
        this.#end = this.#header(this.#planned).byteLength
      }
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await this.#file.write(bytes, done, bytes.length - done, this.#end + done)
        done += bytesWritten
      }
    })
    this.#end += bytes.length
    this.#rows++
    for (let c = 0; c < channels; c++) {
      const [sum, square] = sumsOf(tensor.data, c * pixels, (c + 1) * pixels)
      this.#sums.push(sum)
      this.#squares.push(square)
    }
  }

  /** Writes the header, the sums and the cases, and renames everything into place. */
  async finish(
    cases: readonly ShardCase[],
    folder: string,
    files: ReturnType<typeof shardFiles>,
  ): Promise<NonNullable<ShardReport['shard']>> {
    await this.#guard(async () => {
      await this.#file!.write(this.#header(this.#rows), 0, undefined, 0)
      await this.#file!.sync()
      await this.#file!.close()
      this.#file = null
    })
    const shape = [this.#rows, this.#spec.channels]
    const sums = encodeSafetensors({
      sum: { dtype: 'F64', shape, data: Float64Array.from(this.#sums) },
      sum_sq: { dtype: 'F64', shape, data: Float64Array.from(this.#squares) },
    })
    const casesText = Buffer.from(lines(cases))
    const digest = await sha256File(this.#temporary)
    await writeAtomic(join(folder, files.cases), casesText)
    await writeAtomic(join(folder, files.sums), sums)
    await move(this.#temporary, this.#path)
    return {
      file: files.tensors,
      num_cases: this.#rows,
      bytes: this.#end,
      sha256: digest,
      cases_bytes: casesText.length,
      cases_sha256: sha256(casesText),
      sums_bytes: sums.length,
      sums_sha256: sha256(sums),
    }
  }

  async discard(): Promise<null> {
    await this.#file?.close().catch(() => {})
    this.#file = null
    await removeAll(this.#temporary)
    return null
  }

  /** As long for fewer rows as for those planned: quarantined cases are known only at the end. */
  #header(rows: number): Uint8Array {
    const { channels, size, dtype } = this.#spec
    const of = (n: number, reserve = 0) =>
      singleTensorHeader('image', dtype === 'uint8' ? 'U8' : 'I16', [n, channels, ...size], reserve)
    return of(rows, of(this.#planned).byteLength)
  }

  async #guard(work: () => Promise<void>): Promise<void> {
    await work().catch((cause) => Promise.reject(explain(cause, this.#path)))
  }
}

/** Sum and sum of squares of stored values; exact, as both stay below 2^53 for an image of up to 8 megapixels. */
function sumsOf(data: Uint8Array | Int16Array, start: number, end: number): [number, number] {
  let sum = 0
  let square = 0
  for (let i = start; i < end; i++) {
    const value = data[i]!
    sum += value
    square += value * value
  }
  return [sum, square]
}

type Tally = Record<string, number>
const COLOURS = { 1: 'grey', 3: 'rgb', 4: 'rgba' } as const

function count(tally: Tally, key: string): void {
  tally[key] = (tally[key] ?? 0) + 1
}

const lines = (values: readonly unknown[]) => values.map((value) => `${JSON.stringify(value)}\n`).join('')
