export interface AdmissionLimits {
  requests: number
  bytes: number
}

/**
 * Back-pressure: how much work is let in at a time. What does not fit is refused at once, so that callers can try
 * another server instead of waiting in a queue that only grows.
 */
export class Admission {
  private requests = 0
  private bytes = 0
  private readonly limits: AdmissionLimits

  constructor(limits: AdmissionLimits) {
    this.limits = limits
  }

  /** Claims room for one request; false when there is none. A request alone always fits. */
  enter(bytes: number): boolean {
    const fits =
      this.requests === 0 || (this.requests < this.limits.requests && this.bytes + bytes <= this.limits.bytes)
    if (!fits) return false
    this.requests++
    this.bytes += bytes
    return true
  }

  leave(bytes: number): void {
    this.requests--
    this.bytes -= bytes
  }
}

/** An image counts as this many pixels at least: its file, tensors and bookkeeping take room too. */
const LEAST_PIXELS = 2 ** 21

/**
 * Runs work in order of arrival, as much at a time as decodes `limit` pixels together; a larger image runs alone.
 * Decoding takes 1 to 8 bytes a pixel, whatever the size of the file.
 */
export function pixelGate(limit: number): <T>(work: () => Promise<T>, pixels: number) => Promise<T> {
  let inFlight = 0
  const waiting: { cost: number; start: () => void }[] = []
  function startNext() {
    for (
      let next = waiting[0];
      next && (inFlight === 0 || inFlight + next.cost <= limit);
      next = waiting[0]
    ) {
      waiting.shift()
      inFlight += next.cost
      next.start()
    }
  }
  return async (work, pixels) => {
    const cost = Math.max(pixels, LEAST_PIXELS)
    await new Promise<void>((start) => {
      waiting.push({ cost, start })
      startNext()
    })
    try {
      return await work()
    } finally {
      inFlight -= cost
      startNext()
    }
  }
}
