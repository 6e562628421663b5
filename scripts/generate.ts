/**
 * Writes the files that are derived from the schemas: the engine's types and the recipe's JSON Schema.
 *
 *   node scripts/generate.ts           writes them
 *   node scripts/generate.ts --check   exits 1 and names the file when one is not what the schemas say
 */
import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { engineConfig } from './generate/engine_config.ts'
import { recipeJsonSchema } from './generate/recipe_json_schema.ts'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))

/** Every generated file: its path below the repository's root → its text. */
export function generatedFiles(): Record<string, string> {
  return {
    'engine/fiducial_engine/config.py': engineConfig(),
    'src/schema/recipe.schema.json': `${JSON.stringify(recipeJsonSchema(), null, 2)}\n`,
  }
}

/** Paths, relative to the root, of generated files that differ from what the schemas say. */
export async function drift(root: string = ROOT): Promise<string[]> {
  const drifted: string[] = []
  for (const [path, text] of Object.entries(generatedFiles())) {
    const found = await readFile(join(root, path), 'utf8').catch(() => null)
    if (found !== text) drifted.push(path)
  }
  return drifted
}

if (process.argv[1] !== undefined && relative(process.argv[1], fileURLToPath(import.meta.url)) === '') {
  const drifted = await drift()
  if (process.argv.includes('--check')) {
    for (const path of drifted) console.error(`${path} is not what src/schema says.`)
    if (drifted.length > 0) console.error('  do: node scripts/generate.ts, and commit the result.')
    process.exitCode = drifted.length > 0 ? 1 : 0
  } else {
    const files = generatedFiles()
    for (const path of drifted) await writeFile(join(ROOT, path), files[path]!)
    console.error(drifted.length > 0 ? `Wrote ${drifted.join(', ')}.` : 'Nothing to write.')
  }
}
