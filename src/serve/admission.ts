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
