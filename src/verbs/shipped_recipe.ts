import { isDeidentified } from '../schema/data.ts'
import type { Recipe } from '../schema/recipe.ts'

const PRIVATE = '(private)'

/**
 * A recipe as it travels in a package: of de-identified data without the paths of the folder and its table, whose names
 * may tell who the patients are.
 */
export function shippedRecipe(recipe: Recipe): Recipe {
  const { data } = recipe
  if (!isDeidentified(data)) return recipe
  const source = structuredClone(data.source)
  if (source.kind === 'csv') source.file = PRIVATE
  if (source.kind === 'dicom' && source.labels !== null) source.labels.file = PRIVATE
  return { ...recipe, data: { ...data, root: PRIVATE, source } }
}
