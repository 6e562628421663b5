import { z } from 'zod'
import { BARE_NAMES } from '../../src/schema/parse.ts'
import { Recipe } from '../../src/schema/recipe.ts'

type Node = { [key: string]: unknown }

/**
 * JSON Schema (2020-12) of a recipe as a person writes it, for editors: defaults may be left out, and a variant whose
 * only required key is `kind` may be its bare name, as `parseRecipe` accepts.
 */
export function recipeJsonSchema(): Node {
  const schema = z.toJSONSchema(Recipe, { io: 'input' }) as Node
  for (const path of BARE_NAMES) {
    const parent = path.slice(0, -1).reduce((at, key) => property(at, key), schema)
    const properties = parent.properties as Record<string, Node>
    const key = path.at(-1)!
    // No task is whole without labels or regions; that one of them must be there is beyond JSON Schema's required.
    if (key === 'task') continue
    properties[key] = withBareName(properties[key]!)
  }
  return { $schema: schema.$schema, title: 'fiducial recipe', ...schema }
}

function withBareName(node: Node): Node {
  const name = bareName(node)
  if (name === null) return node
  const { description, default: fallback, ...variants } = node
  return {
    ...(description === undefined ? {} : { description }),
    ...(fallback === undefined ? {} : { default: fallback }),
    anyOf: [name, variants],
  }
}

/** The schema of the names that stand for a variant by themselves; null when no variant's other keys all have defaults. */
function bareName(node: Node): Node | null {
  const alone = variantsOf(node).filter((variant) => (variant.required as string[]).join() === 'kind')
  if (alone.length === 0) return null
  const kinds = alone.map((variant) => property(variant, 'kind'))
  const examples = kinds.flatMap((kind) => (kind.const === undefined ? [] : [kind.const]))
  return kinds.some((kind) => kind.const === undefined) ? { type: 'string', examples } : { enum: examples }
}

function variantsOf(node: Node): Node[] {
  const members = (node.anyOf ?? node.oneOf) as Node[] | undefined
  if (members) return members.flatMap(variantsOf)
  return node.type === 'object' ? [node] : []
}

function property(node: Node, key: string): Node {
  return (node.properties as Record<string, Node>)[key]!
}
