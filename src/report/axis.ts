/** Maps data to pixels along one axis. */
export interface Axis {
  /** Smallest and largest value shown. */
  domain: [number, number]
  ticks: { value: number; label: string }[]
  /** 0 at the start of the domain, 1 at its end. */
  place(value: number): number
}

/** An axis over round numbers (1, 2 or 5 × 10ⁿ apart) that holds all values. */
export function linearAxis(
  low: number,
  high: number,
  options: { ticks?: number; exact?: boolean } = {},
): Axis {
  const { ticks = 5, exact = false } = options
  const span = high > low ? high - low : Math.abs(high) || 1
  const step = niceStep(span / ticks)
  const from = exact ? low : Math.floor(low / step + 1e-9) * step
  const to = exact ? high : Math.max(Math.ceil(high / step - 1e-9) * step, from + step)
  const values: number[] = []
  for (let i = Math.ceil(from / step - 1e-9); i * step <= to + step * 1e-9; i++) values.push(i * step)
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9))
  return {
    domain: [from, to],
    ticks: values.map((value) => ({ value, label: tickLabel(value, decimals) })),
    place: (value) => (value - from) / (to - from),
  }
}

/** A logarithmic axis over whole powers of ten; values must be positive. */
export function logAxis(low: number, high: number): Axis {
  const from = Math.floor(Math.log10(low) + 1e-9)
  const to = Math.max(Math.ceil(Math.log10(high) - 1e-9), from + 1)
  const powers = Array.from({ length: to - from + 1 }, (_, i) => from + i)
  return {
    domain: [10 ** from, 10 ** to],
    ticks: powers.map((power) => ({
      value: 10 ** power,
      label: tickLabel(10 ** power, Math.max(0, -power)),
    })),
    place: (value) => (Math.log10(value) - from) / (to - from),
  }
}

function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough))
  const share = rough / power
  return (share < 1.5 ? 1 : share < 3.5 ? 2 : share < 7.5 ? 5 : 10) * power
}

function tickLabel(value: number, decimals: number): string {
  if (value === 0) return '0'
  // Digits that do not fit beside the axis. The value is a multiple of the step, give or take its last bits.
  if (decimals > 3 || Math.abs(value) >= 1e6)
    return Number(value.toPrecision(3)).toExponential().replace('e-', 'e−').replace('e+', 'e')
  if (Math.abs(value) >= 1e4) return value.toLocaleString('en-US')
  return value.toFixed(decimals).replace('-', '−')
}
