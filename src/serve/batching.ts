// Shapes: B batch, L labels.
import type { InputArray, Network } from '../package/infer.ts'

export interface BatchingOptions {
  /** Most images in one run of the network. A single call with more is still run whole. */
  maxBatch: number
  /** How long the first image waits for company. */
  waitMs: number
}

interface Waiting {
  x: InputArray
  dims: readonly [B: number, ...number[]]
  resolve(outputs_BL: Float32Array): void
  reject(cause: unknown): void
}

/**
 * Joins calls that arrive together into one run of the network, and gives each its own rows. Runs never overlap:
 * while one is under way the next batch gathers, so a busy server batches without waiting.
 */
export function batching(network: Network, { maxBatch, waitMs }: BatchingOptions): Network {
  const queue: Waiting[] = []
  let isRunning = false
  let timer: NodeJS.Timeout | undefined

  function schedule() {
    if (isRunning || queue.length === 0) return
    const waiting = queue.reduce((sum, { dims }) => sum + dims[0], 0)
    if (waiting >= maxBatch) return void runNext()
    timer ??= setTimeout(runNext, waitMs)
  }
  async function runNext() {
    clearTimeout(timer)
    timer = undefined
    isRunning = true
    const batch = takeBatch(queue, maxBatch)
    try {
      const outputs = await runTogether(network, batch)
      for (const [i, { resolve }] of batch.entries()) resolve(outputs[i]!)
    } catch (cause) {
      for (const { reject } of batch) reject(cause)
    } finally {
      isRunning = false
      schedule()
    }
  }
  return {
    run: (x, dims) =>
      new Promise((resolve, reject) => {
        queue.push({ x, dims, resolve, reject })
        schedule()
      }),
  }
}

function takeBatch(queue: Waiting[], maxBatch: number): Waiting[] {
  let images = 0
  let count = 0
  while (count < queue.length && (count === 0 || images + queue[count]!.dims[0] <= maxBatch))
    images += queue[count++]!.dims[0]
  return queue.splice(0, count)
}

async function runTogether(network: Network, batch: readonly Waiting[]): Promise<Float32Array[]> {
  const [first] = batch
  if (batch.length === 1) return [await network.run(first!.x, first!.dims)]
  const B = batch.reduce((sum, { dims }) => sum + dims[0], 0)
  const total = batch.reduce((sum, { x }) => sum + x.length, 0)
  const x = new (first!.x.constructor as new (n: number) => InputArray)(total)
  let at = 0
  for (const one of batch) {
    x.set(one.x, at)
    at += one.x.length
  }
  const [, ...shape] = first!.dims
  const outputs_BL = await network.run(x, [B, ...shape])
  const L = outputs_BL.length / B
  let row = 0
  return batch.map(({ dims: [rows] }) => {
    const own = outputs_BL.slice(row * L, (row + rows) * L)
    row += rows
    return own
  })
}
