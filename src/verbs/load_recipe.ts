import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { stringify as stringifyYaml } from 'yaml'
import { SchemaError, UserError } from '../schema/errors.ts'
import { parseRecipe } from '../schema/parse.ts'
import type { Recipe } from '../schema/recipe.ts'
import { canonicalJson } from '../storage/canonical_json.ts'
import { readTextIfExists, sha256 } from '../storage/local.ts'
import { readYaml } from './read_yaml.ts'

export interface LoadedRecipe {
  recipe: Recipe
  /** Absolute path of the file, its folder, and the data root. */
  path: string
  dir: string
  root: string
  /** As written, or with the overrides applied; kept in the run. */
  text: string
  /**
   * SHA-256 of what shapes the training: the recipe with every default filled in, but for `evaluate` and `package`,
   * which come after it, and `launch`, which places it. A comment or a spelled-out default does not change it.
   */
  hash: string
}

/**
 * Reads a recipe, applies `--set path=value` overrides, fills every default.
 *
 * @throws {SchemaError} with every mistake at once
 */
export async function loadRecipe(path: string, overrides: readonly string[] = []): Promise<LoadedRecipe> {
  const absolute = resolve(path)
  const text = await readTextIfExists(absolute)
  if (text === null)
    throw new UserError(`There is no recipe at ${path}.\n  do: write one with "fiducial init <folder>".`)
  let value = readYaml(text, path)
  if (value === null)
    throw new SchemaError(`${path}: the recipe is empty.\n  do: write one with "fiducial init <folder>".`)
  for (const override of overrides) value = applyOverride(value, override)
  const recipe = parseRecipe(value, path)
  const dir = dirname(absolute)
  return {
    recipe,
    path: absolute,
    dir,
    root: resolve(dir, underHome(recipe.data.root)),
    text: overrides.length === 0 ? text : overriddenText(value, overrides),
    hash: trainingHash(recipe),
  }
}

function trainingHash({ $schema, evaluate, package: packaging, launch, ...training }: Recipe): string {
  return sha256(canonicalJson(training))
}

/** `train.lr=3e-4` set in a copy of the recipe; the value is YAML. */
export function applyOverride(value: unknown, override: string): unknown {
  const equals = override.indexOf('=')
  if (equals < 1) throw new UserError(`--set ${override}: expected path=value, e.g. --set train.lr=3e-4`)
  const keys = override.slice(0, equals).split('.')
  if (keys.includes('__proto__') || keys.includes('constructor'))
    throw new UserError(`--set ${override}: no such key`)
  const copy = structuredClone(value ?? {}) as Record<string, unknown>
  let at = copy
  for (const key of keys.slice(0, -1)) {
    const next = at[key]
    if (typeof next === 'string') at[key] = { kind: next }
    else if (next === null || typeof next !== 'object') at[key] = {}
    at = at[key] as Record<string, unknown>
  }
  at[keys.at(-1)!] = readYaml(override.slice(equals + 1), `The value of --set ${override}`)
  return copy
}

/** The recipe that holds once the overrides are in; comments stay in the file that they were written in. */
function overriddenText(value: unknown, overrides: readonly string[]): string {
  const flags = overrides.map((override) => `--set ${JSON.stringify(override)}`)
  return `# Used with ${flags.join(' ')}\n${stringifyYaml(value)}`
}

/** `~/images` is below the home folder, as a shell would have it. */
function underHome(path: string): string {
  return path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : path
}
