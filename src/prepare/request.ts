import type { Case } from '../schema/case.ts'
import { UserError } from '../schema/errors.ts'
import type { PrepareConfig, Recipe } from '../schema/recipe.ts'
import { readSource, type SourceData } from '../sources/read.ts'
import { orderCases } from './shard_layout.ts'

/** What a recipe asks to be prepared. */
export interface PrepareRequest {
  prepare: PrepareConfig
  /** In the order in which a new set stores them. */
  cases: Case[]
  /** Absolute path of the data root. */
  root: string
  source: SourceData
}

/**
 * Reads the recipe's source.
 *
 * @throws {UserError} for what the source's reader finds wrong, a case id used twice, or a case of several images
 */
export async function readRequest(recipe: Recipe, root: string): Promise<PrepareRequest> {
  const source = await readSource(recipe.data, recipe.task, root)
  const cases = orderCases(source.cases)
  for (const [i, { case_id, images }] of cases.entries()) {
    if (cases[i + 1]?.case_id === case_id)
      throw new UserError(`The case id "${case_id}" is used twice.\n  do: give each case an id of its own.`)
    if (images.length !== 1)
      throw new UserError(`Case "${case_id}" has ${images.length} images; a 2D case is one image.`)
  }
  return { prepare: recipe.prepare, cases, root, source }
}
