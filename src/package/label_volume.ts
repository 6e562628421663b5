import { keepLargestComponent } from '../imaging/geometry/components.ts'
import type { Grid } from '../imaging/geometry/grid.ts'
import { restoreLabels } from '../imaging/geometry/restore.ts'
import { unitOf } from '../imaging/preprocess_volume.ts'
import type { Volume } from '../imaging/volume.ts'
import { paintedValues, type Structure } from '../schema/task.ts'

/** What a segmentation gives, and how its outputs are read. */
export interface SegmentOutputs {
  structures: readonly Structure[]
  /** Softmax over background and the structures; else a sigmoid each. */
  exclusive: boolean
}

/**
 * Logits → probabilities, in place: a softmax over all outputs, background first, or a sigmoid each.
 *
 * @param logits float32 [K, z, y, x]
 */
export function toProbabilities(
  logits: Float32Array,
  { structures, exclusive }: SegmentOutputs,
): Float32Array {
  if (!exclusive) {
    for (let i = 0; i < logits.length; i++) logits[i] = 1 / (1 + Math.exp(-logits[i]!))
    return logits
  }
  const outputs = structures.length + 1
  const voxels = logits.length / outputs
  for (let i = 0; i < voxels; i++) {
    let top = Number.NEGATIVE_INFINITY
    for (let k = 0; k < outputs; k++) top = Math.max(top, logits[k * voxels + i]!)
    let sum = 0
    for (let k = 0; k < outputs; k++) {
      const power = Math.exp(logits[k * voxels + i]! - top)
      logits[k * voxels + i] = power
      sum += power
    }
    for (let k = 0; k < outputs; k++) logits[k * voxels + i]! /= sum
  }
  return logits
}

/**
 * Probabilities on the stored grid → a mask on the grid of the patient's own files, in the values of the data set.
 *
 * @param probabilities [K, z, y, x] on the stored grid; background first where structures exclude each other
 * @param largest names of structures of which only the largest piece is kept
 * @returns one channel, uint8
 */
export function labelVolume(
  probabilities: Volume & { data: Float32Array },
  source: Grid & Pick<Volume, 'distance_unit'>,
  { structures, exclusive }: SegmentOutputs,
  largest: readonly string[],
): Volume & { data: Uint8Array } {
  const values = paintedValues(structures)
  const mask = restoreLabels(probabilities, source, {
    kind: exclusive ? 'argmax' : 'regions',
    values: exclusive ? [0, ...values] : values,
  }) as Volume & { data: Uint8Array }
  for (const { name, values } of structures)
    if (largest.includes(name)) keepLargestComponent(mask.data, mask.shape, values)
  return { ...mask, ...unitOf(source) }
}
