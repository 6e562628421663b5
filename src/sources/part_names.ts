import type { SplitPart } from '../schema/case.ts'

const PARTS: Record<string, SplitPart> = {
  train: 'train',
  training: 'train',
  val: 'val',
  valid: 'val',
  validation: 'val',
  test: 'test',
  testing: 'test',
}

/** The part that a column's value or a folder's name stands for; letter case does not matter. */
export function partNamed(value: string): SplitPart | undefined {
  const key = value.toLowerCase()
  return Object.hasOwn(PARTS, key) ? PARTS[key] : undefined
}
