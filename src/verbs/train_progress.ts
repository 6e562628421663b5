import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { EventTail } from '../runs/events.ts'
import { RUN_FILES } from '../runs/folder.ts'
import type { RunRecord } from '../runs/read.ts'
import type { RunEvent } from '../schema/run.ts'
import { epochText } from './epoch_text.ts'
import type { Io } from './io.ts'

export interface TrainingFollower {
  /** Reads what is left and stops. */
  end(): Promise<void>
  /** Step that this start continued from, or null. */
  resumedFrom(): number | null
}

const POLL_MS = 250

/** Tells a person what this start of a run writes to its events: a live line for steps, a line for the rest. */
export async function followTraining(run: RunRecord, io: Io): Promise<TrainingFollower> {
  const path = join(run.dir, RUN_FILES.events)
  const size = await stat(path).then(
    (s) => s.size,
    () => 0,
  )
  const tail = new EventTail(path, size)
  const told: Told = { run, totalSteps: run.totalSteps, started: performance.now(), firstStep: null }
  let resumedFrom: number | null = null
  async function readOn() {
    for (const event of await tail.read()) {
      if (event.type === 'resume' && event.step > 0) resumedFrom = event.step
      if (event.type === 'start') told.totalSteps = event.total_steps
      tell(event, told, io)
    }
  }
  let reading = Promise.resolve()
  const timer = setInterval(() => {
    reading = reading.then(readOn)
  }, POLL_MS)
  return {
    async end() {
      clearInterval(timer)
      await reading
      await readOn()
    },
    resumedFrom: () => resumedFrom,
  }
}

interface Told {
  run: RunRecord
  totalSteps: number | null
  started: number
  /** First step of this start and when it came, for the time left. */
  firstStep: { step: number; at: number } | null
}

function tell(event: RunEvent, told: Told, io: Io): void {
  if (event.type === 'step') io.progress?.(stepLine(event, told))
  else {
    const line = eventLine(event, told.run.config.train.select)
    if (line !== null) io.log(line)
  }
}

function stepLine(event: Extract<RunEvent, { type: 'step' }>, told: Told): string {
  const now = performance.now()
  told.firstStep ??= { step: event.step, at: now }
  const done = event.step - told.firstStep.step
  const left =
    told.totalSteps === null || done < 5
      ? ''
      : ` · ${duration((((now - told.firstStep.at) / done) * (told.totalSteps - event.step)) / 1000)} left`
  return (
    `step ${event.step}${told.totalSteps === null ? '' : `/${told.totalSteps}`} · epoch ${epochText(event)}` +
    ` · loss ${event.loss.toPrecision(3)} · ${event.samples_per_second.toFixed(0)} samples/s${left}`
  )
}

/** A line for a person about an event other than a step, or null for those that need no word. */
function eventLine(event: Exclude<RunEvent, { type: 'step' }>, select: string): string | null {
  if (event.type === 'start') return startText(event)
  if (event.type === 'validation') {
    const shown = [select, ...Object.keys(event.metrics).filter((name) => name === 'loss' && name !== select)]
    const metrics = shown.map((name) => `${name} ${event.metrics[name]?.toFixed(4) ?? 'undefined'}`)
    return `epoch ${epochText(event)}: validation ${metrics.join(', ')}${event.is_best ? ', the best so far' : ''}`
  }
  if (event.type === 'warning') return `Warning: ${event.message}`
  if (event.type === 'end' && event.status === 'early_stopped')
    return `Stopped early at step ${event.step}${event.message ? `: ${event.message}` : ''}`
  return null
}

/** What a start works on, and with. */
export function startText(event: Extract<RunEvent, { type: 'start' }>): string {
  return (
    `${event.num_train} cases train, ${event.num_val} validate; ${millions(event.num_parameters)} parameters on ` +
    `${event.device}, ${event.precision}, ${event.world_size > 1 ? `${event.world_size} ranks, ` : ''}` +
    `${event.threads} thread${event.threads === 1 ? '' : 's'}; ${event.total_steps} steps`
  )
}

const millions = (n: number) =>
  n >= 1e6 ? `${(n / 1e6).toFixed(1)} M` : n >= 1e3 ? `${(n / 1e3).toFixed(1)} k` : `${n}`

/** `1:05` minutes and seconds, with hours from one on. */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds))
  const two = (n: number) => String(n).padStart(2, '0')
  const [h, m] = [Math.floor(s / 3600), Math.floor(s / 60) % 60]
  return h > 0 ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`
}
