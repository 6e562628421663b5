import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import { UserError } from '../../schema/errors.ts'
import type { Evaluation } from '../../schema/evaluation.ts'
import type { DryRunResult } from '../../schema/results.ts'
import type { EvaluateOptions, EvaluateTarget } from '../../verbs/evaluate.ts'
import { evaluationText } from '../../verbs/evaluation_text.ts'
import { command } from '../command.ts'
import { dryRunText } from './train.ts'

interface Own {
  split?: Evaluation['split']
  data?: string
  predictions?: string
  labels?: string
  exclusive: boolean
  operatingPoints?: string
  subgroups?: string[]
  out?: string
  allowFailed: boolean
}

export function evaluateCommand(): Command {
  return command<Evaluation | DryRunResult, Own>({
    name: 'evaluate',
    arguments: ['[run or package]'],
    summary: 'metrics with intervals, operating points, subgroups and a report',
    description:
      'Evaluates a run on its validation split, or on the test split when asked to: openings are counted.\n' +
      'A package is evaluated on the data of a recipe.\n' +
      "Others' predictions need neither: p.csv has case_id and a score column per label (0..1);\n" +
      'l.csv has case_id, patient_id if known, a 0/1 column per label (empty: unknown), any attributes.',
    examples: [
      'fiducial evaluate runs/chest-20261121-143005',
      'fiducial evaluate runs/chest-20261121-143005 --split test',
      'fiducial evaluate runs/chest-20261121-143005/package --data other.yaml --split all',
      'fiducial evaluate --predictions p.csv --labels l.csv --subgroups sex,age --out report',
    ],
    flags: ['set', 'dry-run'],
    options: [
      new Option(
        '--split <part>',
        'val unless given; test is opened on purpose; all for external data',
      ).choices(['val', 'test', 'train', 'all']),
      new Option(
        '--data <recipe>',
        "recipe whose data a package is evaluated on; --set changes this recipe's keys",
      ),
      new Option('--predictions <csv>', "others' scores: case_id and a column a label"),
      new Option('--labels <csv>', 'the truth for --predictions'),
      new Option('--exclusive', 'with --predictions: classes exclude each other').default(false),
      new Option('--operating-points <json>', 'with --predictions: thresholds of this evaluation.json'),
      new Option('--subgroups <names>', 'attributes whose groups are measured apart, e.g. sex,age').argParser(
        (text: string) => text.split(',').map((name) => name.trim()),
      ),
      new Option('--out <dir>', 'folder for evaluation.json and report.html; a run has its own'),
      new Option('--allow-failed', 'use a package without a passing certificate').default(false),
    ],
    async action({ args: [path], flags, io }) {
      const target = await targetOf(path, flags)
      const options = {
        split: flags.split ?? ('predictions' in target ? 'all' : 'val'),
        allowFailed: flags.allowFailed,
        ...('data' in target ? {} : { set: flags.set }),
        ...(flags.subgroups && { subgroups: flags.subgroups }),
        ...(flags.out !== undefined && { out: flags.out }),
      } satisfies EvaluateOptions
      const { evaluate, planEvaluation } = await import('../../verbs/evaluate.ts')
      return flags.dryRun ? planEvaluation(target, options) : evaluate(target, options, io)
    },
    print: (result) => ('dry_run' in result ? dryRunText(result) : evaluationText(result)),
  })
}

/** What the arguments name: exactly one of a run, a package with data, or two tables. */
async function targetOf(path: string | undefined, flags: Own & { set: string[] }): Promise<EvaluateTarget> {
  const isPackage = path !== undefined && (await exists(join(path, 'model.json')))
  if (flags.allowFailed && !isPackage)
    throw new UserError('--allow-failed goes with a package: runs and tables have no certificate.')
  const { predictions, labels, exclusive, operatingPoints, data } = flags
  if (predictions !== undefined || labels !== undefined) {
    if (predictions === undefined || labels === undefined)
      throw new UserError(
        '--predictions and --labels go together: fiducial evaluate --predictions p.csv --labels l.csv',
      )
    if (path !== undefined || data !== undefined)
      throw new UserError(
        '--predictions and --labels are evaluated by themselves: name no run, package or --data.',
      )
    return {
      predictions,
      labels,
      exclusive,
      ...(operatingPoints !== undefined && { operating_points: operatingPoints }),
    }
  }
  if (exclusive || operatingPoints !== undefined)
    throw new UserError(
      '--exclusive and --operating-points go with --predictions; runs and packages have their own.',
    )
  if (path === undefined)
    throw new UserError('Name a run or a package, or --predictions p.csv --labels l.csv.')
  if (isPackage) {
    if (data === undefined)
      throw new UserError(
        `${path} is a package: say what to evaluate it on with --data other.yaml --split all.`,
      )
    const { loadRecipe } = await import('../../verbs/load_recipe.ts')
    return { package: path, data: await loadRecipe(data, flags.set) }
  }
  if (data !== undefined)
    throw new UserError(
      `${path} is not a package; --data needs one.\n  do: name the folder that "fiducial package" wrote, e.g. ${join(path, 'package')}.`,
    )
  const { findRun } = await import('../../verbs/find_run.ts')
  return { run: await findRun(path) }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
