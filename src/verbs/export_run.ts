import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { STORED_ARRAYS, type StoredVoxels } from '../imaging/store_volume.ts'
import { CERTIFIED_BATCHES } from '../package/certify.ts'
import { runEngine } from '../python/engine.ts'
import { inputShape, type ScoreRunConfig } from '../runs/kinds.ts'
import { readSafetensors, type Tensor, writeSafetensors } from '../storage/safetensors.ts'
import { storedTensor } from '../storage/stored_values.ts'
import type { Io } from './io.ts'

/**
 * Writes a run's network to `out` as ONNX, and gives PyTorch's logits [N][L] of stored tensors, by the batch size they
 * were computed in.
 */
export async function exportRun(
  out: string,
  tensors: readonly StoredVoxels[],
  data: ScoreRunConfig['data'],
  engine: readonly string[],
  io: Io,
): Promise<(batch: number) => number[][]> {
  return withTemporaryFolder(async (dir) => {
    const size = tensors[0]!.length
    const all = new STORED_ARRAYS[data.dtype](size * tensors.length)
    for (const [n, tensor] of tensors.entries()) all.set(tensor, n * size)
    const image = storedTensor(all, [tensors.length, ...inputShape(data)])
    const input = join(dir, 'in.safetensors')
    const scored = join(dir, 'out.safetensors')
    await writeSafetensors(input, { image })
    const reference = ['--tensors', input, '--batches', CERTIFIED_BATCHES.join(','), '--logits', scored]
    await runEngine('export', [...engine, '--out', out, ...reference], {
      signal: io.signal,
      onLog: io.log,
    })
    const found = await readSafetensors(scored)
    const logits = new Map(
      CERTIFIED_BATCHES.map((batch) => [batch as number, rowsOf(found, `logits_b${batch}`)]),
    )
    return (batch) => logits.get(batch)!
  })
}

/** Gives `work` an empty folder that is gone afterwards. */
export async function withTemporaryFolder<T>(work: (dir: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), 'fiducial-package-'))
  try {
    return await work(dir)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

function rowsOf(tensors: Record<string, Tensor>, name: string): number[][] {
  const tensor = tensors[name]
  if (!tensor) throw new Error(`fiducial_engine.export gave no ${name}`)
  const [N, L] = tensor.shape as [number, number]
  const values = tensor.data as Float32Array
  return Array.from({ length: N }, (_, n) => Array.from(values.subarray(n * L, (n + 1) * L)))
}
