import type { Launch } from '../schema/recipe.ts'
import { local } from './local.ts'

/** A training run to be placed on machines. */
export interface Job {
  /** Absolute path of the run folder. */
  runDir: string
  /** Of the run's lock: a rank of an older generation stops. */
  generation: number
  /** What the run's record is to say about this start, a line each. */
  warnings: readonly string[]
  /** Ranks on each node. */
  processesPerNode: number
  /** Silence after which the ranks count as hung. */
  watchdogSeconds: number
}

export interface LaunchContext {
  /** Aborting it stops the ranks after their current step, with a checkpoint. */
  signal: AbortSignal
  log(line: string): void
}

export interface Launcher {
  /**
   * Runs the job to its end.
   *
   * @throws {UserError} what the user can mend, as the engine says it
   * @throws {StoppedError} when stopped by the signal
   * @throws {Error} a bug, with the last lines of the rank that failed
   */
  launch(job: Job, context: LaunchContext): Promise<void>
}

/** Every way to place ranks on machines; `launch.kind` of a recipe names one. */
export const launchers = { local } satisfies Record<Launch['kind'], Launcher>
