import type { SegmentRun } from '../runs/kinds.ts'
import { UserError } from '../schema/errors.ts'
import type { MaskInference, SegmentEvaluation } from '../schema/evaluation_segment.ts'

/** @throws {UserError} for runs that are no ensemble: other structures, preprocessing or windows */
export function refuseDifferent(runs: readonly SegmentRun[]): void {
  const key = ({ config: { task, data } }: SegmentRun) =>
    JSON.stringify({ task, channels: data.channels, dtype: data.dtype, set_id: data.set_id })
  const twice = runs.find((run, i) => runs.findIndex(({ dir }) => dir === run.dir) < i)
  if (twice !== undefined)
    throw new UserError(`${twice.id} is named twice: an average of itself.\n  do: name each run once.`)
  const other = runs.find((run) => key(run) !== key(runs[0]!))
  if (other === undefined) return
  throw new UserError(
    `${other.id} is of another shard set, task or patch than ${runs[0]!.id}: their outputs cannot be averaged.\n` +
      '  do: name the folds of one recipe.',
  )
}

/** What most of the runs' validations chose. */
export function together(evaluations: readonly SegmentEvaluation[]): MaskInference {
  const found = evaluations.map((one) => one.inference!)
  if (found.length === 1) return found[0]!
  const half = found.length / 2
  const axes = (['z', 'y', 'x'] as const).filter(
    (axis) => found.filter((one) => one.mirror.includes(axis)).length > half,
  )
  const names = [...new Set(found.flatMap((one) => one.largest_component))]
  return {
    mirror: axes,
    largest_component: names.filter(
      (name) => found.filter((one) => one.largest_component.includes(name)).length > half,
    ),
    reasons: [`what most of ${found.length} runs chose on their validation`],
  }
}

/** Of several networks' probabilities for one volume. */
export function mean(arrays: readonly Float32Array[]): Float32Array {
  if (arrays.length === 1) return arrays[0]!
  const out = arrays[0]!.slice()
  for (const array of arrays.slice(1)) for (let i = 0; i < out.length; i++) out[i]! += array[i]!
  for (let i = 0; i < out.length; i++) out[i]! /= arrays.length
  return out
}

/** A folder each: weights of more than a gigabyte lie beside their graph, under a name that it holds. */
export const networkFile = (n: number) => (n === 0 ? 'model.onnx' : `ensemble/${n + 1}/model.onnx`)
