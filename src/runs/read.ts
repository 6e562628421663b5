import { basename, join, resolve } from 'node:path'
import { UserError } from '../schema/errors.ts'
import { parse } from '../schema/parse.ts'
import { type CheckpointPointer, RunConfig, type RunEvent } from '../schema/run.ts'
import { readTextIfExists } from '../storage/local.ts'
import { eventsOf, readEvents } from './events.ts'
import { RUN_FILES } from './folder.ts'
import { isWriterAlive, readLock } from './lock.ts'
import { readPointer } from './pointers.ts'

/** `interrupted`: it ended without a word, as after a kill or a power cut. */
export type RunStatus =
  | 'finished'
  | 'early_stopped'
  | 'stopped'
  | 'failed'
  | 'running'
  | 'interrupted'
  | 'new'

export interface RunRecord {
  /** Absolute. */
  dir: string
  /** Name of the folder. */
  id: string
  config: RunConfig
  status: RunStatus
  /** As written, every start's. */
  events: RunEvent[]
  /** What is wrong with the record itself; the rest of it is still read. */
  damage: string[]
  /** Optimizer updates done, and how many the whole run has once it has started. */
  step: number
  totalSteps: number | null
  best: CheckpointPointer | null
  latest: CheckpointPointer | null
}

/**
 * Reads a run folder.
 *
 * @throws {UserError} when the folder holds no run, or one of its files is damaged
 */
export async function readRun(dir: string): Promise<RunRecord> {
  const absolute = resolve(dir)
  const config = await readConfig(join(absolute, RUN_FILES.config))
  if (config === null)
    throw new UserError(
      `There is no run in ${dir}: it has no ${RUN_FILES.config}.\n` +
        '  do: name a folder below runs/; "fiducial runs list" shows them.',
    )
  const eventsPath = join(absolute, RUN_FILES.events)
  const { events, damaged } = readEvents((await readTextIfExists(eventsPath)) ?? '')
  const best = await readPointer(absolute, 'best')
  const latest = await readPointer(absolute, 'latest')
  const damage = damaged.length === 0 ? [] : [damagedLines(damaged)]
  const lock = await readLock(absolute).catch((error) => {
    if (!(error instanceof UserError)) throw error
    damage.push(
      `${RUN_FILES.lock} is damaged: whether a process writes the run cannot be told. Weights and metrics do not depend on it.`,
    )
    return null
  })
  const isRunning = lock !== null && (await isWriterAlive(lock))
  return {
    dir: absolute,
    id: basename(absolute),
    config,
    events,
    damage,
    status: runStatus(events, isRunning),
    step: Math.max(eventsOf(events, 'step').at(-1)?.step ?? 0, latest?.step ?? 0),
    totalSteps: events.findLast((e) => e.type === 'start')?.total_steps ?? null,
    best,
    latest,
  }
}

/** Whether the training is over; only unfinished runs are resumed. */
export const isFinished = (status: RunStatus) => status === 'finished' || status === 'early_stopped'

function runStatus(events: readonly RunEvent[], isRunning: boolean): RunStatus {
  const last = events.findLast((e) => e.type === 'start' || e.type === 'resume' || e.type === 'end')
  if (last?.type === 'end' && (isFinished(last.status) || !isRunning)) return last.status
  if (isRunning) return 'running'
  return last === undefined ? 'new' : 'interrupted'
}

function damagedLines(lines: readonly number[]): string {
  const named = lines.slice(0, 10).join(', ') + (lines.length > 10 ? ` and ${lines.length - 10} more` : '')
  return (
    `${RUN_FILES.events} is damaged: line${lines.length === 1 ? '' : 's'} ${named} cannot be read. ` +
    'Curves and times lack them; weights and metrics do not depend on them.'
  )
}

async function readConfig(path: string): Promise<RunConfig | null> {
  const text = await readTextIfExists(path)
  if (text === null) return null
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new UserError(
      `${path} is damaged: ${(cause as Error).message}\n` +
        '  do: put it back from a copy, or start another run with --new.',
      { cause },
    )
  }
  return parse(RunConfig, value, path)
}
