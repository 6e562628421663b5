import type { RunEvent } from '../schema/run.ts'
import { epochText } from './epoch_text.ts'
import { duration, startText } from './train_progress.ts'

type Step = Extract<RunEvent, { type: 'step' }>

/**
 * A run's events as a log that a person reads: starts, a line an epoch or validation, warnings, checkpoints that were
 * the best so far, ends. Every start's, as they came.
 *
 * @param events as written, not settled
 * @param select the metric that names the best checkpoint
 */
export function trainingLog(events: readonly RunEvent[], select: string): string[] {
  const lines: string[] = []
  let totalSteps = 0
  let best = -1
  let steps: Step[] = []
  const say = (time: number, text: string) => lines.push(`${clock(time)}  ${text}`)
  const stretch = () => {
    const said = steps.length === 0 ? [] : stretchText(steps)
    steps = []
    return said
  }
  const sayEpoch = (last: Step) =>
    say(last.time, [`epoch ${epochText(last)}`, `step ${last.step}/${totalSteps}`, ...stretch()].join(' · '))
  for (const [i, event] of events.entries()) {
    const at = `step ${event.step}${totalSteps > 0 ? `/${totalSteps}` : ''}`
    if (event.type === 'step') {
      const before = steps.at(-1)?.epoch ?? event.epoch - event.epoch / event.step
      steps.push(event)
      // The validation that follows says the epoch in its own line.
      const isEpoch = Math.floor(event.epoch + 1e-9) > Math.floor(before + 1e-9)
      if (isEpoch && events[i + 1]?.type !== 'validation') sayEpoch(event)
    } else if (event.type === 'validation') {
      const names = [select, 'auroc_mean', 'average_precision_mean', 'loss']
      const known = names.filter((name, i) => name in event.metrics && names.indexOf(name) === i)
      const metrics = known.map((name) => `${name} ${event.metrics[name]?.toFixed(4) ?? 'undefined'}`)
      const validation = `validation ${metrics.join(', ')}${event.is_best ? ', the best so far' : ''}`
      say(event.time, [`epoch ${epochText(event)}`, at, ...stretch(), validation].join(' · '))
      if (event.is_best) best = event.step
    } else if (event.type === 'checkpoint') {
      if (event.step === best) say(event.time, `checkpoint ${event.folder}, the best so far`)
    } else if (event.type === 'resume') {
      steps = []
      say(event.time, `resumed from step ${event.step}`)
    } else if (event.type === 'start') {
      totalSteps = event.total_steps
      say(event.time, `started: ${startText(event)}, torch ${event.torch}`)
    } else if (event.type === 'warning') say(event.time, `Warning: ${event.message}`)
    else {
      const spent = Object.values(event.seconds).reduce((sum, s) => sum + s, 0)
      const why = event.message === null ? '' : `: ${event.message}`
      say(event.time, `${event.status.replace('_', ' ')} at ${at} after ${duration(spent)}${why}`)
    }
  }
  const last = steps.at(-1)
  if (last !== undefined) sayEpoch(last)
  return lines.flatMap((line) => line.split('\n'))
}

/** Mean loss, last rate and mean speed over some steps. */
function stretchText(steps: readonly Step[]): string[] {
  const mean = (of: 'loss' | 'samples_per_second') =>
    steps.reduce((sum, step) => sum + step[of], 0) / steps.length
  return [
    `loss ${mean('loss').toPrecision(4)}`,
    `lr ${steps.at(-1)!.lr.toPrecision(3)}`,
    `${mean('samples_per_second').toFixed(0)} samples/s`,
  ]
}

/** `2026-11-21 14:30:05`, local time. */
function clock(seconds: number): string {
  const time = new Date(seconds * 1000)
  const two = (n: number) => String(n).padStart(2, '0')
  const date = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`
  return `${date} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`
}
