import type { Metric } from '../schema/evaluation.ts'

/** `0.943`. */
export const decimal = (value: number): string => value.toFixed(3)

/** `0.943 (0.921–0.961)`; `0.943 (no interval)`; `undefined: no positive cases`. */
export function metricText(metric: Metric | undefined): string {
  if (!metric) return '–'
  if (metric.value === null) return `undefined: ${metric.reason}`
  if (metric.low === null || metric.high === null) return `${decimal(metric.value)} (no interval)`
  return `${decimal(metric.value)} (${decimal(metric.low)}–${decimal(metric.high)})`
}

/** `0.0523`, `12.3`, `2,576`: at least three digits, whole from a hundred on. */
export function threeDigits(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : Math.abs(value) >= 1 ? 2 : 3
  return value
    .toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
    .replace('-', '−')
}

/** `25,596`. */
export const whole = (value: number): string => value.toLocaleString('en-US')

/** `3 cases`, `1 case`. */
export const count = (n: number, noun: string): string => `${whole(n)} ${noun}${n === 1 ? '' : 's'}`

/** `4.2 s`, `3 min 20 s`, `2 h 5 min`. */
export function duration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(seconds < 0.1 ? 2 : 1)} s`
  if (seconds < 100) return `${Math.round(seconds)} s`
  const minutes = Math.round(seconds / 60)
  if (seconds < 600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`
  return minutes < 100 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** A metric's key as words: `average_precision` → `average precision`, `auroc` → `AUROC`. */
export function metricName(key: string): string {
  if (key === 'auroc') return 'AUROC'
  if (key === 'f1') return 'F1'
  if (key === 'dice') return 'Dice'
  if (key === 'surface_dice') return 'surface Dice'
  if (key === 'hd95_mm') return 'HD95'
  if (key === 'youden') return "Youden's index"
  if (key.endsWith('_mean')) return `mean ${metricName(key.slice(0, -5))}`
  return key.replaceAll('_', ' ')
}
