import { eventsOf } from '../runs/events.ts'
import type { RunRecord } from '../runs/read.ts'
import { StoppedError } from '../schema/errors.ts'
import type { TrainResult } from '../schema/results.ts'

/** Steps at the start of a run that say more about warming up than about speed. */
const WARM_UP_STEPS = 10

/**
 * What a run came to.
 *
 * @param resumedFrom step that this start continued from, null when it began
 */
export function trainResult(run: RunRecord, resumedFrom: number | null): TrainResult {
  const all = eventsOf(run.events, 'step')
  const steps = all.length > WARM_UP_STEPS ? all.slice(WARM_UP_STEPS) : all
  return {
    run_dir: run.dir,
    status:
      run.status === 'running' || run.status === 'interrupted' || run.status === 'new'
        ? 'stopped'
        : run.status,
    steps: run.step,
    epochs: Math.max(run.latest?.epoch ?? 0, all.at(-1)?.epoch ?? 0),
    samples_per_second: median(steps.map((e) => e.samples_per_second)),
    data_wait_fraction: mean(steps.map((e) => e.data_wait_fraction)),
    best: run.best === null ? null : { step: run.best.step, metrics: run.best.metrics },
    resumed_from: resumedFrom,
  }
}

/** Training stopped by a signal; the same command resumes. */
export class TrainStopped extends StoppedError {
  override name = 'TrainStopped'
  readonly result: TrainResult

  constructor(result: TrainResult, options?: ErrorOptions) {
    super(`Stopped at step ${result.steps}; the same command resumes.\n  in: ${result.run_dir}`, options)
    this.result = result
  }
}

function median(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length === 0) return null
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

const mean = (values: readonly number[]) =>
  values.length === 0 ? null : values.reduce((sum, v) => sum + v, 0) / values.length
