import { open } from 'node:fs/promises'
import { UserError } from '../schema/errors.ts'
import { explainReading, readBytes, writeAtomic } from './local.ts'

/**
 * The safetensors format: 8 bytes little-endian header length, a JSON header padded with spaces to a multiple of 8,
 * then the tensors' bytes, little-endian, in row-major order and without gaps.
 *
 * @see https://huggingface.co/docs/safetensors
 */
export type Dtype =
  | 'U8'
  | 'I8'
  | 'U16'
  | 'I16'
  | 'U32'
  | 'I32'
  | 'I64'
  | 'U64'
  | 'F16'
  | 'BF16'
  | 'F32'
  | 'F64'
  | 'BOOL'

export interface Tensor {
  dtype: Dtype
  shape: number[]
  /** F16 and BF16 are read as their bit patterns in a Uint16Array. */
  data: TensorData
}
export type TensorData =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | BigInt64Array
  | BigUint64Array
  | Float16Array
  | Float32Array
  | Float64Array

export interface TensorEntry {
  dtype: Dtype
  shape: number[]
  /** Byte offsets in the file. */
  begin: number
  end: number
}
export interface SafetensorsHeader {
  tensors: Record<string, TensorEntry>
  metadata: Record<string, string>
}

/** A file whose bytes are not what its format says. The message names the file. */
export class SafetensorsError extends UserError {
  override name = 'SafetensorsError'
}

/** Every tensor of a file or of its bytes. `name` stands for the bytes in errors. */
export async function readSafetensors(
  source: string | Uint8Array,
  name = 'these bytes',
): Promise<Record<string, Tensor>> {
  const bytes = typeof source === 'string' ? await readBytes(source) : source
  const where = typeof source === 'string' ? source : name
  const { tensors } = parseHeader(bytes, bytes.byteLength, where)
  return Object.fromEntries(
    Object.entries(tensors).map(([key, entry]) => [
      key,
      tensorAt(bytes.subarray(entry.begin, entry.end), entry),
    ]),
  )
}

/** The header alone: what a file holds, without reading its tensors. */
export async function readSafetensorsHeader(path: string): Promise<SafetensorsHeader> {
  const file = await openForReading(path)
  try {
    const { size } = await file.stat()
    const length = Buffer.alloc(8)
    await file.read(length, 0, 8, 0)
    const wanted = Math.min(size, 8 + headerLength(length, size, path))
    const start = Buffer.alloc(wanted)
    await file.read(start, 0, wanted, 0)
    return parseHeader(start, size, path)
  } finally {
    await file.close()
  }
}

/** Rows `start` to `start + count` of one tensor, read alone: memory is that of the rows. */
export async function readRows(path: string, tensor: string, start: number, count: number): Promise<Tensor> {
  const entry = (await readSafetensorsHeader(path)).tensors[tensor]
  if (!entry) throw new SafetensorsError(`There is no tensor "${tensor}".\n  in: ${path}`)
  const rows = entry.shape[0] ?? 1
  if (start < 0 || count < 0 || start + count > rows)
    throw new RangeError(`rows ${start} to ${start + count} of ${rows} in ${path}`)
  const rowBytes = rows === 0 ? 0 : (entry.end - entry.begin) / rows
  const bytes = Buffer.alloc(count * rowBytes)
  const file = await openForReading(path)
  try {
    await file.read(bytes, 0, bytes.length, entry.begin + start * rowBytes)
  } finally {
    await file.close()
  }
  return tensorAt(bytes, { ...entry, shape: [count, ...entry.shape.slice(1)] })
}

/** Writes tensors whole or not at all; those of wider types come first, so that each starts aligned. */
export async function writeSafetensors(
  path: string,
  tensors: Readonly<Record<string, Tensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  await writeAtomic(path, safetensorsParts(tensors, metadata))
}

/** The bytes of a safetensors file. Equal tensors give equal bytes, whatever the order of the keys. */
export function encodeSafetensors(
  tensors: Readonly<Record<string, Tensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const parts = safetensorsParts(tensors, metadata)
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.byteLength
  }
  return out
}

/** The same bytes in pieces, the tensors' own memory among them: nothing large is copied. */
export function safetensorsParts(
  tensors: Readonly<Record<string, Tensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array[] {
  const names = Object.keys(tensors).sort(
    (a, b) => itemBytes(tensors[b]!.dtype) - itemBytes(tensors[a]!.dtype) || (a < b ? -1 : 1),
  )
  let offset = 0
  const entries: Record<string, unknown> = {}
  const parts: Uint8Array[] = []
  for (const name of names) {
    const { dtype, shape, data } = tensors[name]!
    const bytes = product(shape) * itemBytes(dtype)
    if (data.byteLength !== bytes)
      throw new Error(
        `tensor ${name}: ${data.byteLength} bytes for ${dtype} ${JSON.stringify(shape)}, not ${bytes}`,
      )
    entries[name] = { dtype, shape, data_offsets: [offset, offset + bytes] }
    parts.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    offset += bytes
  }
  return [encodeHeader(entries, metadata), ...parts]
}

/**
 * The header of a file with a single tensor whose rows are streamed behind it.
 *
 * @param reserve bytes that the whole header takes at least; spaces fill it, so that a header for fewer rows than
 *   planned has the planned length
 */
export function singleTensorHeader(
  name: string,
  dtype: Dtype,
  shape: readonly number[],
  reserve = 0,
): Uint8Array {
  const bytes = product(shape) * itemBytes(dtype)
  return encodeHeader({ [name]: { dtype, shape, data_offsets: [0, bytes] } }, {}, reserve)
}

export function itemBytes(dtype: Dtype): number {
  return ARRAYS[dtype].BYTES_PER_ELEMENT
}

const ARRAYS = {
  U8: Uint8Array,
  I8: Int8Array,
  BOOL: Uint8Array,
  U16: Uint16Array,
  I16: Int16Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  U32: Uint32Array,
  I32: Int32Array,
  F32: Float32Array,
  I64: BigInt64Array,
  U64: BigUint64Array,
  F64: Float64Array,
} satisfies Record<Dtype, unknown>

function encodeHeader(
  entries: Record<string, unknown>,
  metadata: Readonly<Record<string, string>>,
  reserve = 0,
): Uint8Array {
  const json = JSON.stringify(
    Object.keys(metadata).length > 0 ? { __metadata__: metadata, ...entries } : entries,
  )
  const text = new TextEncoder().encode(json)
  const length = Math.max(Math.ceil(text.length / 8) * 8, reserve - 8)
  const out = new Uint8Array(8 + length).fill(0x20)
  new DataView(out.buffer).setBigUint64(0, BigInt(length), true)
  out.set(text, 8)
  return out
}

const LARGEST_HEADER_BYTES = 100_000_000 // the reference reader's limit

function headerLength(start: Uint8Array, fileBytes: number, where: string): number {
  if (fileBytes < 8) throw corrupt(where, `it holds ${fileBytes} bytes, fewer than a header`)
  const length = new DataView(start.buffer, start.byteOffset, 8).getBigUint64(0, true)
  if (length > BigInt(Math.min(LARGEST_HEADER_BYTES, fileBytes - 8)))
    throw corrupt(where, `its header claims ${length} bytes of a file of ${fileBytes}`)
  return Number(length)
}

function parseHeader(bytes: Uint8Array, fileBytes: number, where: string): SafetensorsHeader {
  const length = headerLength(bytes.subarray(0, 8), fileBytes, where)
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(8, 8 + length)))
  } catch (cause) {
    throw corrupt(where, 'its header is not JSON', cause)
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw corrupt(where, 'its header is not a JSON object')
  const { __metadata__: metadata = {}, ...rest } = value as Record<string, unknown>
  const start = 8 + length
  const tensors: Record<string, TensorEntry> = {}
  for (const [name, entry] of Object.entries(rest)) tensors[name] = checkEntry(name, entry, start, where)
  let at = start
  for (const entry of Object.values(tensors).sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (entry.begin !== at) throw corrupt(where, 'its tensors overlap or leave gaps')
    at = entry.end
  }
  if (at !== fileBytes) throw corrupt(where, `it holds ${fileBytes} bytes; its header says ${at}`)
  return { tensors, metadata: metadata as Record<string, string> }
}

function checkEntry(name: string, value: unknown, start: number, where: string): TensorEntry {
  const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Record<string, unknown>
  const isCount = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0
  if (
    typeof dtype !== 'string' ||
    !Object.hasOwn(ARRAYS, dtype) ||
    !Array.isArray(shape) ||
    !shape.every(isCount) ||
    !Array.isArray(offsets) ||
    offsets.length !== 2 ||
    !offsets.every(isCount)
  )
    throw corrupt(where, `its header's entry for tensor ${JSON.stringify(name)} is not understood`)
  const [begin, end] = offsets as [number, number]
  if (end - begin !== product(shape) * itemBytes(dtype as Dtype))
    throw corrupt(where, `tensor ${JSON.stringify(name)} has ${end - begin} bytes for ${dtype} [${shape}]`)
  return { dtype: dtype as Dtype, shape, begin: start + begin, end: start + end }
}

function corrupt(where: string, what: string, cause?: unknown): SafetensorsError {
  return new SafetensorsError(
    `This is not a whole safetensors file: ${what}.\n  in: ${where}\n` +
      '  do: restore the file from a copy, or delete it and run the command that made it again.',
    { cause },
  )
}

function tensorAt(bytes: Uint8Array, entry: { dtype: Dtype; shape: number[] }): Tensor {
  // Copied: a typed array of wider items must start aligned, a slice of a file need not.
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer
  return { dtype: entry.dtype, shape: entry.shape, data: new ARRAYS[entry.dtype](buffer) }
}

async function openForReading(path: string) {
  return open(path, 'r').catch((cause) => Promise.reject(explainReading(cause, path)))
}

const product = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1)
