import { readFile, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { UserError } from '../schema/errors.ts'
import type { Model } from '../schema/model.ts'
import type { RunConfig } from '../schema/run.ts'
import { explain, sha256, writeAtomic } from '../storage/local.ts'

export interface ResolvedModel {
  model: RunConfig['model']
  /** The user's Python file as it was read, to be copied into the run; null for models by name. */
  source: Uint8Array | null
}

/**
 * The network of a recipe: family told apart, the user's file read and hashed, weights on disk found.
 *
 * @param recipeDir folder that paths in the recipe are relative to
 * @throws {UserError} when a file that the recipe names is not there
 */
export async function resolveModel(model: Model, recipeDir: string): Promise<ResolvedModel> {
  const weights = await resolveWeights(model.weights, recipeDir)
  if ('file' in model) {
    const path = resolve(recipeDir, model.file)
    const source = await readFile(path).catch((cause) => {
      if (cause.code === 'ENOENT')
        throw new UserError(`model.file: there is no ${model.file}.\n  looked for: ${path}`, { cause })
      throw explain(cause, path)
    })
    const file = join('model', basename(path))
    return {
      model: { family: 'file', file, sha256: sha256(source), name: model.name, args: model.args, weights },
      source,
    }
  }
  if ('hidden' in model) {
    const { hidden, dropout } = model
    return { model: { family: 'mlp', hidden, dropout, weights }, source: null }
  }
  if ('drop_rate' in model) {
    const { kind, drop_rate, drop_path_rate } = model
    return { model: { family: 'timm', kind, weights, drop_rate, drop_path_rate }, source: null }
  }
  const { kind: family, ...options } = model
  return { model: { ...options, family, weights } as RunConfig['model'], source: null }
}

/** Copies the user's model file into the run: what trains is what was hashed. */
export async function writeModelSource(runDir: string, { model, source }: ResolvedModel): Promise<void> {
  if (model.family === 'file' && source !== null) await writeAtomic(join(runDir, model.file), source)
}

async function resolveWeights(weights: string, recipeDir: string): Promise<string> {
  if (weights === 'none' || weights === 'pretrained' || weights.startsWith('timm:')) return weights
  const path = resolve(recipeDir, weights)
  if (await stat(path).catch(() => null)) return path
  throw new UserError(
    `model.weights: there is no ${weights}.\n  looked for: ${path}\n` +
      '  do: name a .safetensors file or a run folder relative to the recipe, or one of none, pretrained, timm:<tag>.',
  )
}
