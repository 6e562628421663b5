import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CERTIFIED_BATCHES } from '../package/certify.ts'
import { runEngine } from '../python/engine.ts'
import type { EngineImages } from '../schema/run.ts'
import { readSafetensors, type Tensor, writeSafetensors } from '../storage/safetensors.ts'
import type { Io } from './io.ts'

/**
 * Writes a run's network to `out` as ONNX, and gives PyTorch's logits [N][L] of stored tensors, by the batch size they
 * were computed in.
 */
export async function exportRun(
  out: string,
  tensors: readonly (Uint8Array | Int16Array)[],
  { dtype, sample_shape }: EngineImages,
  engine: readonly string[],
  io: Io,
): Promise<(batch: number) => number[][]> {
  return withTemporaryFolder(async (dir) => {
    const size = tensors[0]!.length
    const data =
      dtype === 'int16' ? new Int16Array(size * tensors.length) : new Uint8Array(size * tensors.length)
    for (const [n, tensor] of tensors.entries()) data.set(tensor, n * size)
    const image: Tensor = {
      dtype: dtype === 'int16' ? 'I16' : 'U8',
      shape: [tensors.length, ...sample_shape],
      data,
    }
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
