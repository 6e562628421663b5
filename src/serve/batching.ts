// Shapes: B batch, C channels, H rows, W columns, L labels.
import type { InputArray, Network } from '../package/infer.ts'

export interface BatchingOptions {
  /** Most images in one run of the network. A single call with more is still run whole. */
  maxBatch: number
  /** How long the first image waits for company. */
  waitMs: number
}

interface Waiting {
  x_BCHW: InputArray
  dims: readonly [number, number, number, number]
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
    run: (x_BCHW, dims) =>
      new Promise((resolve, reject) => {
        queue.push({ x_BCHW, dims, resolve, reject })
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
  if (batch.length === 1) return [await network.run(first!.x_BCHW, first!.dims)]
  const B = batch.reduce((sum, { dims }) => sum + dims[0], 0)
  const total = batch.reduce((sum, { x_BCHW }) => sum + x_BCHW.length, 0)
  const x_BCHW = new (first!.x_BCHW.constructor as new (n: number) => InputArray)(total)
  let at = 0
  for (const one of batch) {
    x_BCHW.set(one.x_BCHW, at)
    at += one.x_BCHW.length
  }
  const [, C, H, W] = first!.dims
  const outputs_BL = await network.run(x_BCHW, [B, C, H, W])
  const L = outputs_BL.length / B
  let row = 0
  return batch.map(({ dims: [rows] }) => {
    const own = outputs_BL.slice(row * L, (row + rows) * L)
    row += rows
    return own
  })
}
