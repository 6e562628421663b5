import { join } from 'node:path'
import type { StoredVoxels } from '../imaging/store_volume.ts'
import { type CertifiedPatches, PATCH_BATCHES } from '../package/certify_segment.ts'
import { emptyValues } from '../package/segment.ts'
import { cutWindows } from '../package/sliding_window.ts'
import { STORED_DTYPES } from '../prepare/stored_volume.ts'
import { runEngine } from '../python/engine.ts'
import type { SegmentRun } from '../runs/kinds.ts'
import { readSafetensors, type Tensor, writeSafetensors } from '../storage/safetensors.ts'
import { withTemporaryFolder } from './export_run.ts'
import type { Io } from './io.ts'

/** A stored volume that PyTorch is asked about. */
export interface ReferenceVolume {
  /** [C, Z, Y, X] */
  data: StoredVoxels
  shape: readonly [number, number, number, number]
}

export interface SegmentExport {
  patches: CertifiedPatches
  /** float32 [K, Z, Y, X] of each volume, blended by MONAI. */
  probabilities: Float32Array[]
}

/** Patches that the certificate holds the graph against, at most. */
const MOST_PATCHES = 7

/**
 * Writes a run's network to `out` as ONNX, and gives what PyTorch computes of the middle of some volumes, and of whole
 * volumes.
 */
export async function exportSegmentRun(
  run: SegmentRun,
  out: string,
  volumes: readonly ReferenceVolume[],
  { mirror, checkpoint }: { mirror: readonly string[]; checkpoint: 'best' | 'latest' },
  io: Io,
): Promise<SegmentExport> {
  const { task, data } = run.config
  const patch = task.patch_size
  const empty = emptyValues(data.normalization, data.dtype)
  const chosen = volumes.slice(0, MOST_PATCHES)
  const windows = chosen.map(({ data: volume, shape }) =>
    cutWindows({ volume, shape, patch, empty }, [
      patch.map((side, k) => Math.floor((shape[k + 1]! - side) / 2)) as unknown as [number, number, number],
    ]),
  )
  const size = windows[0]!.length
  const patches = new (windows[0]!.constructor as new (length: number) => StoredVoxels)(size * windows.length)
  for (const [n, one] of windows.entries()) patches.set(one, n * size)
  return withTemporaryFolder(async (dir) => {
    const files = {
      patches: join(dir, 'patches.safetensors'),
      logits: join(dir, 'logits.safetensors'),
      volumes: join(dir, 'volumes.safetensors'),
      probabilities: join(dir, 'probabilities.safetensors'),
    }
    const dtype = STORED_DTYPES[data.dtype]
    await writeSafetensors(files.patches, {
      image: { dtype, shape: [windows.length, data.channels, ...patch], data: patches },
    })
    const name = (i: number) => `volume_${String(i).padStart(3, '0')}`
    const tensors = volumes.map(({ data: voxels, shape }, i): [string, Tensor] => [
      name(i),
      { dtype, shape: [...shape], data: voxels },
    ])
    await writeSafetensors(files.volumes, Object.fromEntries(tensors))
    await runEngine(
      'export',
      [
        ...['--run-dir', run.dir, '--checkpoint', checkpoint, '--out', out],
        ...['--tensors', files.patches, '--batches', PATCH_BATCHES.join(','), '--logits', files.logits],
        ...['--volumes', files.volumes, '--volumes-out', files.probabilities],
        ...(mirror.length > 0 ? ['--mirror', mirror.join(',')] : []),
      ],
      { signal: io.signal, onLog: io.log },
    )
    const logits = await readSafetensors(files.logits)
    const probabilities = await readSafetensors(files.probabilities)
    return {
      patches: { patches, count: windows.length, logits: (batch) => floats(logits, `logits_b${batch}`) },
      probabilities: volumes.map((_, i) => floats(probabilities, name(i))),
    }
  })
}

function floats(tensors: Record<string, Tensor>, name: string): Float32Array {
  const tensor = tensors[name]
  if (!tensor) throw new Error(`fiducial_engine.export gave no ${name}`)
  return tensor.data as Float32Array
}
