import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { StoredVoxels } from '../imaging/store_volume.ts'
import { UserError } from '../schema/errors.ts'

/** What a graph reads, by its type. */
export type SessionInput = StoredVoxels

/** A graph's input or output: symbolic dimensions are strings. */
export interface TensorInfo {
  name: string
  dtype: string
  shape: (number | string)[]
}

export interface Session {
  /** One run of the graph; outputs as it gives them, in row-major order. */
  run(data: SessionInput, dims: readonly number[]): Promise<Float32Array>
  inputs: TensorInfo[]
  outputs: TensorInfo[]
  /** Frees the graph's memory. Runs in flight finish first. */
  close(): Promise<void>
}

export interface SessionOptions {
  /** Threads of one run of the network. */
  threads: number
  /** Graph input to feed and output to read; the only ones when absent. */
  input?: string
  output?: string
}

export type SessionRequest = { id: number; data: SessionInput; dims: readonly number[] }
export type SessionReply =
  | { ready: { inputs: TensorInfo[]; outputs: TensorInfo[] } }
  | { id: number; outputs: Float32Array }
  | { id: number; error: string }
  | { failed: string }

/**
 * Opens an ONNX graph in a worker thread of its own: onnxruntime's `run` blocks the thread that calls it, and a
 * server must go on answering and decoding meanwhile.
 *
 * @throws {UserError} naming the file when it is missing, malformed, or its external data is
 */
export async function openSession(path: string, options: SessionOptions): Promise<Session> {
  const worker = new Worker(new URL(`./session_worker${extname(import.meta.filename)}`, import.meta.url), {
    workerData: { path, ...options },
  })
  const pending = new Map<number, { resolve(x: Float32Array): void; reject(error: unknown): void }>()
  const running = new Set<Promise<Float32Array>>()
  let nextId = 0
  let ended: Error | null = null
  const end = (error: Error) => {
    ended ??= error
    for (const { reject } of pending.values()) reject(ended)
    pending.clear()
  }
  const info = await new Promise<{ inputs: TensorInfo[]; outputs: TensorInfo[] }>((resolve, reject) => {
    worker.on('error', (cause) => {
      end(cause as Error)
      reject(cause)
    })
    worker.on('exit', (code) => {
      end(new Error(`The thread of ${path} ended with code ${code}.`))
      reject(ended)
    })
    worker.on('message', (reply: SessionReply) => {
      if ('ready' in reply) return resolve(reply.ready)
      if ('failed' in reply) return reject(explainLoad(reply.failed, path))
      const waiting = pending.get(reply.id)
      pending.delete(reply.id)
      if (pending.size === 0) worker.unref()
      if ('outputs' in reply) waiting?.resolve(reply.outputs)
      else waiting?.reject(explainRun(reply.error, path))
    })
  }).catch(async (cause) => {
    await worker.terminate()
    throw cause
  })
  // An idle session does not keep a program alive.
  worker.unref()

  return {
    ...info,
    run(data, dims) {
      if (ended) return Promise.reject(ended)
      const id = nextId++
      worker.ref()
      const result = new Promise<Float32Array>((resolve, reject) => pending.set(id, { resolve, reject }))
      running.add(result)
      const forget = () => running.delete(result)
      result.then(forget, forget)
      worker.postMessage({ id, data, dims } satisfies SessionRequest)
      return result
    },
    async close() {
      await Promise.allSettled(running)
      ended ??= new Error(`${path} is closed.`)
      await worker.terminate()
    },
  }
}

function explainLoad(message: string, path: string): UserError {
  const external = /external|\.data|file_size|GetFileLength|initializer data/i.test(message)
  const advice = external
    ? 'its external data is missing or cut short: the .data file that the export wrote belongs beside it, under its own name.'
    : 'it is not an ONNX file, is damaged, or needs operators that onnxruntime does not know.'
  return new UserError(
    `${path} cannot be loaded: ${advice}\n` +
      `  onnxruntime says: ${firstLine(message)}\n` +
      '  do: export or copy the model again.',
  )
}

function explainRun(message: string, path: string): UserError {
  return new UserError(
    `${path} failed on a batch.\n` +
      `  onnxruntime says: ${firstLine(message)}\n` +
      '  do: export the model with a dynamic batch dimension, and check its input shape.',
  )
}

function firstLine(message: string): string {
  return message.split('\n')[0]!.slice(0, 400)
}
