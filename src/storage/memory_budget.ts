/**
 * Lets work go on side by side as long as the bytes that it needs together stay within a limit; in the order of asking.
 * What alone needs more than the limit runs when nothing else does.
 */
export class MemoryBudget {
  readonly #limit: number
  readonly #waiting: { bytes: number; start: () => void }[] = []
  #used = 0

  constructor(limitBytes: number) {
    this.#limit = limitBytes
  }

  async run<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    await new Promise<void>((start) => {
      this.#waiting.push({ bytes, start })
      this.#admit()
    })
    try {
      return await work()
    } finally {
      this.#used -= bytes
      this.#admit()
    }
  }

  #admit(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (this.#used > 0 && this.#used + next.bytes > this.#limit) return
      this.#waiting.shift()
      this.#used += next.bytes
      next.start()
    }
  }
}
