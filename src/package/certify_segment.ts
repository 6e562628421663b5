import { preprocessVolume } from '../imaging/preprocess_volume.ts'
import type { StoredVoxels } from '../imaging/store_volume.ts'
import { type Check, largestDifference, limited } from './certify.ts'
import { type ExpectedVolume, tensorSha256 } from './golden_volume.ts'
import type { LoadedSegmenter } from './load_segmenter.ts'
import { maskOf, outputsOf, probabilitiesOf } from './segment.ts'

/** Patches of the stored type, and what PyTorch gives for them with one network. */
export interface CertifiedPatches {
  /** [N, C, z, y, x] */
  patches: StoredVoxels
  count: number
  /** float32 [N, K, z, y, x], computed in batches of a size. */
  logits(batch: number): Float32Array
}

/** A real case, and what the reference made of it. */
export interface CertifiedCase {
  /** Bytes of its files. */
  read(): Promise<Uint8Array[]>
  /** Stored voxels that the network was trained and measured on. */
  stored: StoredVoxels
  /** float32 [K, Z, Y, X] of the reference, for all networks together; null where it was not computed. */
  probabilities: Float32Array | null
  /** What the run's validation wrote, on the grid of its files; null for an ensemble, which no run evaluated. */
  mask: Uint8Array | null
}

export interface SegmentReference {
  /** One a network. */
  patches: readonly CertifiedPatches[]
  golden: readonly ExpectedVolume[]
  cases: readonly CertifiedCase[]
}

/** Batch sizes at which patches are run: dynamic batches have known traps in exports. */
export const PATCH_BATCHES = [1, 2, 7] as const
/** Of a mask's voxels above background, those that may differ: probabilities that are equal to six digits. */
const MASK_TOLERANCE = 1e-4

/**
 * Measures that a package computes what was trained: patches through each network at several batch sizes, phantoms and
 * real cases from their files to stored tensors, to probabilities blended as the reference blends them, to masks on
 * the grid of the files.
 */
export async function certifySegmenter(
  loaded: LoadedSegmenter,
  { patches, golden, cases }: SegmentReference,
  tolerance: number,
): Promise<Check[]> {
  return [
    ...(await checkPatches(loaded, patches, tolerance)),
    ...(await checkGoldenVolumes(loaded, golden, tolerance)),
    ...(await checkCases(loaded, cases, tolerance)),
  ]
}

/** Phantoms from their files to stored tensors, to probabilities, to masks: what needs nothing but the package. */
export async function checkGoldenVolumes(
  { model, networks }: Pick<LoadedSegmenter, 'model' | 'networks'>,
  golden: readonly ExpectedVolume[],
  tolerance: number,
): Promise<Check[]> {
  let tensors = 0
  let difference = 0
  let differing = 0
  for (const { stored, tensor_sha256, probabilities, mask } of golden) {
    if (tensorSha256(stored.data) !== tensor_sha256) tensors++
    const found = await probabilitiesOf(stored, model, networks)
    difference = Math.max(difference, largestDifference(found, probabilities))
    differing = Math.max(differing, shareDiffering(maskOf(found, stored, model).data, mask))
  }
  return [
    limited('golden_tensors', tensors, 0),
    limited('golden_probability_difference', difference, tolerance),
    limited('golden_masks_differing_share', differing, MASK_TOLERANCE),
  ]
}

async function checkPatches(
  loaded: LoadedSegmenter,
  patches: readonly CertifiedPatches[],
  tolerance: number,
): Promise<Check[]> {
  const checks: Check[] = []
  for (const batch of patches.length === 0 ? [] : PATCH_BATCHES) {
    let worst = 0
    for (const [n, one] of patches.entries())
      worst = Math.max(worst, await patchDifference(loaded, n, one, batch))
    checks.push(limited(`patch_logits_batch_${batch}_relative_difference`, worst, 10 * tolerance))
  }
  return checks
}

async function checkCases(
  { model, networks }: LoadedSegmenter,
  cases: readonly CertifiedCase[],
  tolerance: number,
): Promise<Check[]> {
  let tensors = 0
  let difference: number | null = null
  let differing: number | null = null
  for (const one of cases) {
    const stored = await preprocessVolume(await one.read(), model.preprocess)
    const found = await probabilitiesOf(stored, model, networks)
    if (!equal(stored.data, one.stored)) tensors++
    if (one.probabilities !== null)
      difference = Math.max(difference ?? 0, largestDifference(found, one.probabilities))
    if (one.mask !== null)
      differing = Math.max(differing ?? 0, shareDiffering(maskOf(found, stored, model).data, one.mask))
  }
  return [
    ...(cases.length === 0 ? [] : [limited('validation_tensors', tensors, 0)]),
    ...(difference === null ? [] : [limited('validation_probability_difference', difference, tolerance)]),
    ...(differing === null ? [] : [limited('validation_masks_differing_share', differing, MASK_TOLERANCE)]),
  ]
}

/** Largest difference of logits, relative to their size where that is above 1. */
async function patchDifference(
  { model, networks }: LoadedSegmenter,
  n: number,
  { patches, count, logits }: CertifiedPatches,
  batch: number,
): Promise<number> {
  const [z, y, x] = model.input.patch_size
  const C = model.preprocess.channels
  const size = C * z * y * x
  const outputs = outputsOf(model) * z * y * x
  const expected = logits(batch)
  const PatchArray = patches.constructor as new (length: number) => StoredVoxels
  let worst = 0
  for (let start = 0; start < count; start += batch) {
    const group = new PatchArray(batch * size)
    for (let b = 0; b < batch; b++) {
      const from = ((start + b) % count) * size
      group.set(patches.subarray(from, from + size), b * size)
    }
    const found = await networks[n]!.run(group, [batch, C, z, y, x])
    for (let b = 0; b < batch; b++) {
      const from = ((start + b) % count) * outputs
      for (let i = 0; i < outputs; i++) {
        const reference = expected[from + i]!
        worst = Math.max(
          worst,
          Math.abs(found[b * outputs + i]! - reference) / Math.max(1, Math.abs(reference)),
        )
      }
    }
  }
  return worst
}

/** Voxels of other values, as a share of those above background in either. */
function shareDiffering(a: Uint8Array, b: Uint8Array): number {
  if (a.length !== b.length) return 1
  let differ = 0
  let foreground = 0
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) differ++
    if (a[i] !== 0 || b[i] !== 0) foreground++
  }
  return foreground === 0 ? 0 : differ / foreground
}

function equal(a: StoredVoxels, b: StoredVoxels): boolean {
  const bytes = (values: StoredVoxels) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
  const [p, q] = [bytes(a), bytes(b)]
  return p.length === q.length && p.every((value, i) => value === q[i])
}
