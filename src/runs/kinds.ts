import type { EngineClassify, EngineImages, EngineSegment, EngineVolumes, RunConfig } from '../schema/run.ts'
import type { RunRecord } from './read.ts'

export type ImageRunConfig = RunConfig & { task: EngineClassify; data: EngineImages }
export type SegmentRunConfig = RunConfig & { task: EngineSegment; data: EngineVolumes }
/** A run that scores images. */
export type ImageRun = RunRecord & { config: ImageRunConfig }
/** A run that draws masks on volumes. */
export type SegmentRun = RunRecord & { config: SegmentRunConfig }

export function isSegmentRun(run: RunRecord): run is SegmentRun {
  return run.config.task.kind === 'segment'
}

/** The run as one that scores images; whoever calls this has sent the others elsewhere. */
export function imageRun(run: RunRecord): ImageRun {
  const { task, data } = run.config
  if (task.kind !== 'classify' || data.kind !== 'images') throw new Error(`${run.id} is no run of images`)
  return run as ImageRun
}
