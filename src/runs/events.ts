import { open } from 'node:fs/promises'
import { RunEvent } from '../schema/run.ts'

export type EventOf<T extends RunEvent['type']> = Extract<RunEvent, { type: T }>

/**
 * The events of complete lines, in file order. A line that a kill tore is left out; so is one of a newer version's
 * type.
 */
export function parseEvents(text: string): RunEvent[] {
  return readEvents(text).events
}

/**
 * As `parseEvents`, with the numbers, from 1, of lines that no kill accounts for: a kill tears the last line only, and
 * the next start writes `resume` behind it, or that it failed before.
 */
export function readEvents(text: string): { events: RunEvent[]; damaged: number[] } {
  const events: RunEvent[] = []
  const damaged: number[] = []
  let suspect: number | null = null
  for (const [i, line] of text.split('\n').entries()) {
    if (line === '') continue
    const event = parseLine(line)
    if (suspect !== null && !isFirstOfStart(event)) damaged.push(suspect)
    suspect = event === null ? i + 1 : null
    if (event !== null && event !== 'newer') events.push(event)
  }
  return { events, damaged }
}

function parseLine(line: string): RunEvent | 'newer' | null {
  try {
    const value: unknown = JSON.parse(line)
    const parsed = RunEvent.safeParse(value)
    if (parsed.success) return parsed.data
    const { type } = Object(value) as { type?: unknown }
    return typeof type === 'string' && !TYPES.has(type) ? 'newer' : null
  } catch {
    return null
  }
}

function isFirstOfStart(event: RunEvent | 'newer' | null): boolean {
  if (event === null || event === 'newer') return false
  return event.type === 'resume' || (event.type === 'end' && event.status === 'failed')
}

const TYPES: ReadonlySet<string> = new Set(RunEvent.options.map((option) => option.shape.type.value))

/**
 * What holds after restarts: a replayed step replaces the line written before the kill, so the last line for a
 * (type, step) wins. Of each replayed type the steps ascend; events that are not tied to a step's replay are kept
 * where they came.
 */
export function settleEvents(events: readonly RunEvent[]): RunEvent[] {
  const settled = new Map<string, RunEvent>()
  let once = 0
  for (const event of events) {
    const key = isReplayed(event) ? `${event.type} ${event.step}` : `${event.type} #${once++}`
    settled.delete(key)
    settled.set(key, event)
  }
  const kept = [...settled.values()]
  const byStep = new Map(
    REPLAYED.map((type) => [
      type as string,
      kept.filter((event) => event.type === type).sort((a, b) => a.step - b.step),
    ]),
  )
  const next = new Map<string, number>()
  return kept.map((event) => {
    if (!isReplayed(event)) return event
    const at = next.get(event.type) ?? 0
    next.set(event.type, at + 1)
    return byStep.get(event.type)![at]!
  })
}

/** A start from a checkpoint writes these again. */
const REPLAYED = ['step', 'validation', 'checkpoint'] as const
const isReplayed = ({ type }: RunEvent) => (REPLAYED as readonly string[]).includes(type)

/** Events of one type, settled. */
export function eventsOf<T extends RunEvent['type']>(events: readonly RunEvent[], type: T): EventOf<T>[] {
  return settleEvents(events.filter((e) => e.type === type)) as EventOf<T>[]
}

/** Reads what was appended to events.jsonl since the last call; a line still being written waits for its end. */
export class EventTail {
  readonly #path: string
  #offset: number
  #rest = Buffer.alloc(0)

  /** @param offset bytes to skip: what earlier starts of the run wrote */
  constructor(path: string, offset = 0) {
    this.#path = path
    this.#offset = offset
  }

  async read(): Promise<RunEvent[]> {
    let chunk: Buffer
    try {
      await using file = await open(this.#path, 'r')
      const { size } = await file.stat()
      chunk = Buffer.alloc(Math.max(0, size - this.#offset))
      const { bytesRead } = await file.read(chunk, 0, chunk.length, this.#offset)
      chunk = chunk.subarray(0, bytesRead)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
      throw error
    }
    this.#offset += chunk.length
    const bytes = Buffer.concat([this.#rest, chunk])
    const end = bytes.lastIndexOf(0x0a) + 1
    this.#rest = Buffer.from(bytes.subarray(end))
    return parseEvents(bytes.toString('utf8', 0, end))
  }
}
