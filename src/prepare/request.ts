import type { Case } from '../schema/case.ts'
import { isDeidentified } from '../schema/data.ts'
import { UserError } from '../schema/errors.ts'
import type { PrepareConfig, Recipe } from '../schema/recipe.ts'
import type { Quarantined } from '../schema/shard_set.ts'
import { readSource, type SourceData } from '../sources/read.ts'
import { privateFolder } from './place.ts'
import { orderCases } from './shard_layout.ts'

/** What a recipe asks to be prepared. */
export interface PrepareRequest {
  prepare: PrepareConfig
  /** In the order in which a new set stores them. */
  cases: Case[]
  /** Absolute path of the data root. */
  root: string
  /** Listed by the source, but no file to read: they count as quarantined. */
  skipped: Quarantined[]
  /** `data.max_quarantined` */
  maxQuarantined: number | string
  source: SourceData
  /** Of volumes that are classified: a network for them takes one size. */
  needsSize: boolean
  /** Nothing that is written or shown outside of `private/` may name a file. */
  deidentified: boolean
}

export interface ReadOptions {
  mayGenerate?: boolean | undefined
  /** Where the sets are, as for `prepareShards`: the ids of de-identified cases are salted by what is kept there. */
  out?: string | undefined
  prepared?: string | undefined
  /** Keep a salt and what headers say there; else what is there is only used. */
  mayRemember?: boolean | undefined
}

/**
 * Reads the recipe's source.
 *
 * @throws {UserError} for what the source's reader finds wrong, a case id used twice, or a case of several images
 */
export async function readRequest(
  recipe: Recipe,
  root: string,
  signal?: AbortSignal,
  options: ReadOptions = {},
): Promise<PrepareRequest> {
  const source = await readSource(recipe.data, recipe.task, root, signal, {
    mayGenerate: options.mayGenerate,
    isOfVolumes: recipe.prepare.kind === 'volume',
    privateFolder: privateFolder(options, { mayWrite: options.mayRemember ?? false }),
  })
  const cases = orderCases(source.cases)
  for (const [i, { case_id, images }] of cases.entries()) {
    if (cases[i + 1]?.case_id === case_id)
      throw new UserError(`The case id "${case_id}" is used twice.\n  do: give each case an id of its own.`)
    if (recipe.prepare.kind === 'image' && images.length !== 1)
      throw new UserError(`Case "${case_id}" has ${images.length} images; a 2D case is one image.`)
  }
  const skipped = source.skipped.map(({ case_id, file, reason }) => ({
    case_id: case_id ?? file,
    file,
    reason,
  }))
  const maxQuarantined = recipe.data.max_quarantined
  return {
    prepare: recipe.prepare,
    cases,
    root,
    skipped,
    maxQuarantined,
    source,
    needsSize: recipe.prepare.kind === 'volume' && recipe.task.kind === 'classify',
    deidentified: isDeidentified(recipe.data),
  }
}

/** How many cases may be unreadable: `max_quarantined` is a count, or a share of the cases such as '1%'. */
export function allowedQuarantined({ maxQuarantined: limit, cases, skipped }: PrepareRequest): number {
  if (typeof limit === 'number') return limit
  return (Number.parseFloat(limit) / 100) * (cases.length + skipped.length)
}
