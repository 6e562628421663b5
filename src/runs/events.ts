import { open } from 'node:fs/promises'
import { RunEvent } from '../schema/run.ts'

export type EventOf<T extends RunEvent['type']> = Extract<RunEvent, { type: T }>

/**
 * The events of complete lines, in file order. A line that a kill tore is left out; so is one of a newer version's
 * type.
 */
export function parseEvents(text: string): RunEvent[] {
  return text.split('\n').flatMap((line) => {
    if (line === '') return []
    try {
      const parsed = RunEvent.safeParse(JSON.parse(line))
      return parsed.success ? [parsed.data] : []
    } catch {
      return []
    }
  })
}

/**
 * What holds after restarts: a replayed step replaces the line written before the kill, so the last line for a
 * (type, step) wins. Events that are not tied to a step's replay are kept as they came.
 */
export function settleEvents(events: readonly RunEvent[]): RunEvent[] {
  const settled = new Map<string, RunEvent>()
  let once = 0
  for (const event of events) {
    const replayed = event.type === 'step' || event.type === 'validation' || event.type === 'checkpoint'
    const key = replayed ? `${event.type} ${event.step}` : `${event.type} #${once++}`
    settled.delete(key)
    settled.set(key, event)
  }
  return [...settled.values()].sort((a, b) => (a.type === b.type ? a.step - b.step : 0))
}

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
