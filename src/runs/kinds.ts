import type { ModelPackage } from '../schema/model_package.ts'
import type { EngineClassify, EngineImages, EngineSegment, EngineVolumes, RunConfig } from '../schema/run.ts'
import type { RunRecord } from './read.ts'

export type ScoreRunConfig = RunConfig & { task: EngineClassify; data: EngineImages | SizedVolumes }
export type SegmentRunConfig = RunConfig & { task: EngineSegment; data: EngineVolumes }
/** Volumes of one size, as a network that scores them needs. */
type SizedVolumes = EngineVolumes & { size: NonNullable<EngineVolumes['size']> }
/** A run that scores images or volumes. */
export type ScoreRun = RunRecord & { config: ScoreRunConfig }
/** A run that draws masks on volumes. */
export type SegmentRun = RunRecord & { config: SegmentRunConfig }

export function isSegmentRun(run: RunRecord): run is SegmentRun {
  return run.config.task.kind === 'segment'
}

/** The run as one that scores cases; whoever calls this has sent the others elsewhere. */
export function scoreRun(run: RunRecord): ScoreRun {
  const { task, data } = run.config
  if (task.kind !== 'classify' || (data.kind === 'volumes' && data.size === null))
    throw new Error(`${run.id} is no run that scores`)
  return run as ScoreRun
}

/** [C, H, W] or [C, Z, Y, X] of what the network reads. */
export function inputShape(data: ScoreRunConfig['data']): ModelPackage['input']['shape'] {
  return data.kind === 'images' ? data.sample_shape : [data.channels, ...data.size]
}
