import type { Source } from '../schema/data.ts'

/** What a look at the files suggests, before its reader has read them. */
export interface Draft {
  /** Absolute data root. */
  root: string
  source: SourceDraft
  split: SplitDraft
  labels: string[]
  exclusive: boolean
  /** Plain statements of what was recognised, and of what only its owner can know. */
  found: string[]
  unsure: string[]
}

/** As it stands in a recipe, defaults left out. */
export type SourceDraft = { kind: Source['kind'] } & Record<string, unknown>
export type SplitDraft = Partial<Record<'val' | 'test' | 'seed', number>> & {
  column?: string
  official?: true
}

export const RANDOM_SPLIT: SplitDraft = { val: 0.15, test: 0.2, seed: 0 }
