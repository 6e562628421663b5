import { inspectSplit } from '../prepare/inspection.ts'
import { refuseLeaks } from '../prepare/leaks.ts'
import { readRequest } from '../prepare/request.ts'
import type { LoadedRecipe } from './load_recipe.ts'

/**
 * Stops before anything is decoded where a given split shares patients between its parts: the table says so by itself.
 * Images of equal bytes are found when they are prepared.
 *
 * @throws {UserError} naming the cases and counts
 */
export async function refuseSharedPatients(
  { recipe, root }: LoadedRecipe,
  signal: AbortSignal,
): Promise<void> {
  const { split: rule, allow_leaks } = recipe.data
  // Own splits are by patient and cannot leak.
  if (allow_leaks || !('column' in rule || 'official' in rule)) return
  const { cases } = await readRequest(recipe, root, signal, { mayGenerate: false })
  const { kind, leaks } = inspectSplit(cases, rule, [], new Map())
  // What else is wrong with the split is said when it is drawn.
  if (kind !== null) refuseLeaks({ kind, leaks }, { allow_leaks })
}
