import { isSameGrid } from '../imaging/geometry/same_grid.ts'
import { storedHeader } from '../imaging/header.ts'
import { preprocessVolume } from '../imaging/preprocess_volume.ts'
import { isRaster } from '../imaging/raster_volume.ts'
import type { StoredVoxels } from '../imaging/store_volume.ts'
import type { Volume } from '../imaging/volume.ts'
import type { CertifiedVolume } from '../schema/certified_volume.ts'
import { certifiedVolume, leastShareDiffering } from './certified_volume.ts'
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
  read(): Promise<readonly Uint8Array[]>
  /** Stored voxels that the network was trained and measured on. */
  stored: StoredVoxels
  /** float32 [K, Z, Y, X] of the reference, for all networks together; null where it was not computed. */
  probabilities: Float32Array | null
  /** What the run's validation wrote, on the grid of its files; null for an ensemble, which no run evaluated. */
  mask: Uint8Array | null
}

/** A real case of a certificate whose files are at hand. */
export interface RecordedCase {
  recorded: CertifiedVolume
  read(): Promise<readonly Uint8Array[]>
}

export interface CertifySegmentOptions {
  tolerance: number
  /** The mask that comes back from the server for the files of one case. */
  served(files: readonly Uint8Array[]): Promise<Volume>
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
 * the grid of the files, and the same files through the server.
 *
 * @returns the checks, and what the certificate keeps of the real cases
 */
export async function certifySegmenter(
  loaded: LoadedSegmenter,
  { patches, golden, cases }: SegmentReference,
  options: CertifySegmentOptions,
): Promise<{ checks: Check[]; volumes: CertifiedVolume[] }> {
  const checks = [
    ...(await checkPatches(loaded, patches, options.tolerance)),
    ...(await checkGoldenVolumes(loaded, golden, options)),
  ]
  const real = await checkCases(loaded, cases, options)
  return { checks: [...checks, ...real.checks], volumes: real.volumes }
}

/** Phantoms from their files to stored tensors, to probabilities, to masks, also served: what needs only the package. */
export async function checkGoldenVolumes(
  { model, networks }: Pick<LoadedSegmenter, 'model' | 'networks'>,
  golden: readonly ExpectedVolume[],
  { tolerance, served }: CertifySegmentOptions,
): Promise<Check[]> {
  let tensors = 0
  let difference = 0
  let differing = 0
  let servedOtherwise = 0
  for (const { bytes, stored, tensor_sha256, probabilities, mask, channelFiles = [] } of golden) {
    if (tensorSha256(stored.data) !== tensor_sha256) tensors++
    const found = await probabilitiesOf(stored, model, networks)
    difference = Math.max(difference, largestDifference(found, probabilities))
    const made = maskOf(found, stored, model)
    differing = Math.max(differing, shareDiffering(made.data, mask))
    servedOtherwise += voxelsDiffering(made, await served([bytes, ...channelFiles.map((one) => one.bytes)]))
  }
  return [
    limited('golden_tensors', tensors, 0),
    limited('golden_probability_difference', difference, tolerance),
    limited('golden_masks_differing_share', differing, MASK_TOLERANCE),
    limited('golden_served_masks_differing_voxels', servedOtherwise, 0),
  ]
}

/**
 * Real cases segmented again, against what the certificate keeps of them: the hash of the stored tensor, unless its file
 * is one that decoders of two platforms may differ on, and of each structure how large it was and where. Of those
 * measures two machines may differ by what a few voxels make, so what is held to a limit is how many voxels must differ
 * at least, as a share of the structure.
 */
export async function checkRecordedCases(
  { model, networks }: Pick<LoadedSegmenter, 'model' | 'networks'>,
  cases: readonly RecordedCase[],
  { served }: CertifySegmentOptions,
): Promise<Check[]> {
  if (cases.length === 0) return []
  let tensors: number | null = null
  let differing = 0
  let servedOtherwise = 0
  for (const { recorded, read } of cases) {
    const files = await read()
    const stored = await preprocessVolume(files, model.preprocess)
    const mask = maskOf(await probabilitiesOf(stored, model, networks), stored, model)
    const found = certifiedVolume(files, stored, mask, model)
    if (!files.some(isLossyRaster))
      tensors = (tensors ?? 0) + (found.tensor_sha256 === recorded.tensor_sha256 ? 0 : 1)
    // Of a structure smaller than 10,000 voxels, one may differ.
    differing = Math.max(differing, leastShareDiffering(found, recorded, 1 / MASK_TOLERANCE))
    servedOtherwise += voxelsDiffering(mask, await served(files))
  }
  return [
    ...(tensors === null ? [] : [limited('validation_tensors', tensors, 0)]),
    limited('validation_recorded_masks_differing_share', differing, MASK_TOLERANCE),
    limited('validation_served_masks_differing_voxels', servedOtherwise, 0),
  ]
}

/** JPEG, lossy WebP and TIFF with such parts: another decoder may give values a few units apart. */
const isLossyRaster = (file: Uint8Array) => isRaster(file) && storedHeader(file).lossy

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
  { tolerance, served }: CertifySegmentOptions,
): Promise<{ checks: Check[]; volumes: CertifiedVolume[] }> {
  const volumes: CertifiedVolume[] = []
  let servedOtherwise = 0
  let tensors = 0
  let difference: number | null = null
  let differing: number | null = null
  for (const one of cases) {
    const files = await one.read()
    const stored = await preprocessVolume(files, model.preprocess)
    const found = await probabilitiesOf(stored, model, networks)
    if (!equal(stored.data, one.stored)) tensors++
    if (one.probabilities !== null)
      difference = Math.max(difference ?? 0, largestDifference(found, one.probabilities))
    const mask = maskOf(found, stored, model)
    if (one.mask !== null) differing = Math.max(differing ?? 0, shareDiffering(mask.data, one.mask))
    servedOtherwise += voxelsDiffering(mask, await served(files))
    volumes.push(certifiedVolume(files, stored, mask, model))
  }
  const checks = [
    ...(cases.length === 0 ? [] : [limited('validation_tensors', tensors, 0)]),
    ...(difference === null ? [] : [limited('validation_probability_difference', difference, tolerance)]),
    ...(differing === null ? [] : [limited('validation_masks_differing_share', differing, MASK_TOLERANCE)]),
    ...(cases.length === 0 ? [] : [limited('validation_served_masks_differing_voxels', servedOtherwise, 0)]),
  ]
  return { checks, volumes }
}

/** Voxels of other values; all of them where the two lie on other grids. */
function voxelsDiffering(mask: Volume, served: Volume): number {
  if (served.channels !== 1 || !isSameGrid(served, mask)) return mask.data.length
  let differ = 0
  for (let i = 0; i < mask.data.length; i++) if (mask.data[i] !== served.data[i]) differ++
  return differ
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

/**
 * Voxels of other values, as a share of those above background in either; of fewer than 10,000, one may differ: midway
 * between a stored voxel that is surely inside and one that is surely not, probabilities are equal but for their rounding.
 */
function shareDiffering(a: Uint8Array, b: Uint8Array): number {
  if (a.length !== b.length) return 1
  let differ = 0
  let foreground = 0
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) differ++
    if (a[i] !== 0 || b[i] !== 0) foreground++
  }
  return differ / Math.max(foreground, 1 / MASK_TOLERANCE)
}

function equal(a: StoredVoxels, b: StoredVoxels): boolean {
  const bytes = (values: StoredVoxels) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
  const [p, q] = [bytes(a), bytes(b)]
  return p.length === q.length && p.every((value, i) => value === q[i])
}
