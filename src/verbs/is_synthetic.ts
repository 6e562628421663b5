import type { Attributes } from '../schema/case.ts'
import { isGenerated } from '../schema/data.ts'
import type { Recipe } from '../schema/recipe.ts'

/** Made by a generator: the recipe names it, or some case carries its mark. Whatever shows the numbers says so. */
export function isSynthetic(
  { data }: Pick<Recipe, 'data'>,
  cases: readonly { attributes: Attributes }[],
): boolean {
  return isGenerated(data.source) || cases.some(({ attributes }) => attributes.synthetic === 'yes')
}
