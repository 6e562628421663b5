import { StoppedError } from '../../schema/errors.ts'
import { prepareSmall, smallRecipe } from './small_data_set.ts'

/**
 * A process of its own that prepares a small data set, for tests that kill it:
 * `node prepare_process.ts <data root> <work folder> <workers> [update [folder of the set]]`
 */
const [root, work, workers, mode, out] = process.argv.slice(2)
try {
  const { dir } = await prepareSmall(smallRecipe(root!), work!, {
    workers: Number(workers),
    update: mode === 'update',
    out,
  })
  process.stdout.write(dir)
} catch (error) {
  process.stderr.write(`${(error as Error).stack}\n`)
  process.exitCode = error instanceof StoppedError ? 75 : 1
}
