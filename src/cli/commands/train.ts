import { type Command, Option } from 'commander'
import type { DryRunResult, TrainResult } from '../../schema/results.ts'
import { epochText } from '../../verbs/epoch_text.ts'
import { command } from '../command.ts'
import { metric } from '../table.ts'

export function trainCommand(): Command {
  return command<TrainResult | DryRunResult, { new: boolean }>({
    name: 'train',
    arguments: ['<recipe>'],
    summary: 'train a recipe; the same command resumes',
    description:
      'Trains a recipe. Prepares its data first if that was not done. Continues the newest unfinished run of the ' +
      'same recipe, data and split below runs/, or starts one. The test split is never touched.',
    examples: [
      'fiducial train recipe.yaml',
      'fiducial train recipe.yaml --set train.epochs=20 --set train.seed=1',
    ],
    flags: ['set', 'workers', 'run-dir', 'dry-run'],
    options: [
      new Option('--out <dir>', 'folder of the shard set, when it is not below prepared/'),
      new Option('--new', 'start another run instead of resuming').default(false),
    ],
    async action({ args: [path], flags, io }) {
      const { loadRecipe } = await import('../../verbs/load_recipe.ts')
      const loaded = await loadRecipe(path!, flags.set)
      const options = { workers: flags.workers, out: flags.out, runDir: flags.runDir, new: flags.new }
      if (flags.dryRun) return (await import('../../verbs/plan_run.ts')).planTraining(loaded, options, io)
      const { train } = await import('../../verbs/train.ts')
      return train(loaded, options, io)
    },
    print: (result) => ('dry_run' in result ? dryRunText(result) : trainText(result)),
  })
}

export const dryRunText = ({ would }: DryRunResult) =>
  `Would:\n${would.map((line) => `  ${line}`).join('\n')}`

/** How training ended, in a line. */
export function trainLine({ status, steps, epochs, samples_per_second }: TrainResult): string {
  const speed = samples_per_second === null ? '' : `, ${samples_per_second.toFixed(0)} samples/s`
  const passes = epochText({ step: steps, epoch: epochs })
  return (
    `${status === 'early_stopped' ? 'stopped early' : status} after ${steps} step${steps === 1 ? '' : 's'}, ` +
    `${passes} epoch${passes === '1' ? '' : 's'}${speed}`
  )
}

/** Metrics that depend on no threshold: those of the operating points are what `evaluate` measures. */
const WITHOUT_THRESHOLD = ['auroc_mean', 'average_precision_mean', 'loss']

function trainText(result: TrainResult): string {
  const lines = [trainLine(result), `run   ${result.run_dir}`]
  if (result.best !== null) {
    const found = Object.entries(result.best.metrics).filter(([name]) => WITHOUT_THRESHOLD.includes(name))
    const metrics = found.map(([name, value]) => `${name} ${metric(value)}`)
    lines.push(
      `best  step ${result.best.step}: ${metrics.join(', ')} (validation, which chose it: optimistic)`,
    )
  }
  return lines.join('\n')
}
