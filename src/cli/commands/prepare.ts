import type { Command } from 'commander'
import type { PrepareResult } from '../../schema/results.ts'
import { command } from '../command.ts'

export function prepareCommand(): Command {
  return command<PrepareResult>({
    name: 'prepare',
    arguments: ['<recipe>'],
    summary: 'decode, resample and shard the images of a recipe',
    examples: ['fiducial prepare recipe.yaml --workers 4'],
    flags: ['set', 'workers', 'out'],
    async action({ args: [path], flags, io }) {
      const { loadRecipe } = await import('../../verbs/load_recipe.ts')
      const { prepare } = await import('../../verbs/prepare.ts')
      const { workers, out } = flags
      const loaded = await loadRecipe(path!, flags.set)
      return (await prepare(loaded, { workers, ...(out === undefined ? {} : { out }) }, io)).result
    },
    print: (result) => `${result.cases} cases in ${result.out}${result.reused ? ', there already' : ''}`,
  })
}
