import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { UserError } from '../../schema/errors.ts'
import type { Evaluation } from '../../schema/evaluation.ts'
import type { SegmentEvaluation } from '../../schema/evaluation_segment.ts'
import type { DryRunResult } from '../../schema/results.ts'
import type { EvaluateOptions, EvaluateTarget } from '../../verbs/evaluate.ts'
import type { MaskFolders } from '../../verbs/evaluate_masks.ts'
import { evaluationText, segmentTable } from '../../verbs/evaluation_text.ts'
import { command } from '../command.ts'
import { dryRunText } from './train.ts'

interface Own {
  split?: Evaluation['split']
  data?: string
  predictions?: string
  labels?: string
  exclusive: boolean
  operatingPoints?: string
  names?: Record<string, number[]>
  cases?: string
  images?: string
  subgroups?: string[]
  out?: string
  allowFailed: boolean
}

export function evaluateCommand(): Command {
  return command<Evaluation | SegmentEvaluation | DryRunResult, Own>({
    name: 'evaluate',
    arguments: ['[run or package]'],
    summary: 'metrics with intervals, operating points, subgroups and a report',
    description:
      'Evaluates a run on its validation split, or on the test split when asked to: openings are counted.\n' +
      'A package is evaluated on the data of a recipe.\n' +
      "Others' predictions need neither: p.csv has case_id and a score column per label (0..1);\n" +
      'l.csv has case_id, patient_id if known, a 0/1 column per label (empty: unknown), any attributes.\n' +
      'Two folders are masks: NIfTI files, or PNG or TIFF of 2D images, of equal names, whose voxels hold the number of their label.',
    examples: [
      'fiducial evaluate runs/chest-20261121-143005',
      'fiducial evaluate runs/chest-20261121-143005 --split test',
      'fiducial evaluate runs/chest-20261121-143005/package --data other.yaml --split all',
      'fiducial evaluate --predictions p.csv --labels l.csv --subgroups sex,age --out report',
      'fiducial evaluate --predictions predicted --labels labelsTs --names liver=1,tumour=2 --out report',
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
      new Option(
        '--predictions <path>',
        "others' scores: case_id and a column a label; or a folder of masks",
      ),
      new Option('--labels <path>', 'the truth for --predictions; or a folder of masks with the same names'),
      new Option('--exclusive', 'with --predictions: classes exclude each other').default(false),
      new Option('--operating-points <json>', 'with --predictions: thresholds of this evaluation.json'),
      new Option(
        '--names <list>',
        'with masks: what their values mean, e.g. liver=1,tumour=2; a region has several, e.g. whole=1+2',
      ).argParser(labelValues),
      new Option('--cases <csv>', 'with masks: case_id, patient_id if known, any attributes'),
      new Option('--images <dir>', 'with masks: images of the same names, drawn in the report'),
      new Option('--subgroups <names>', 'attributes whose groups are measured apart, e.g. sex,age').argParser(
        (text: string) => text.split(',').map((name) => name.trim()),
      ),
      new Option('--out <dir>', 'folder for evaluation.json and report.html; a run has its own'),
      new Option('--allow-failed', 'use a package without a passing certificate').default(false),
    ],
    async action({ args: [path], flags, io }) {
      const masks = await maskFolders(path, flags)
      const common = {
        ...(flags.subgroups && { subgroups: flags.subgroups }),
        ...(flags.out !== undefined && { out: flags.out }),
      }
      if (masks !== null) {
        const { evaluateMasks, planEvaluateMasks } = await import('../../verbs/evaluate_masks.ts')
        if (flags.dryRun) return planEvaluateMasks(masks, flags.out)
        return evaluateMasks(masks, { split: flags.split ?? 'all', set: flags.set, ...common }, io)
      }
      const target = await targetOf(path, flags)
      const options = {
        split: flags.split ?? ('predictions' in target ? 'all' : 'val'),
        allowFailed: flags.allowFailed,
        ...('data' in target ? {} : { set: flags.set }),
        ...common,
      } satisfies EvaluateOptions
      const { evaluate, planEvaluation } = await import('../../verbs/evaluate.ts')
      return flags.dryRun ? planEvaluation(target, options) : evaluate(target, options, io)
    },
    print: (result) =>
      'dry_run' in result
        ? dryRunText(result)
        : 'kind' in result.task
          ? segmentTable(result as SegmentEvaluation)
          : evaluationText(result as Evaluation),
  })
}

/** `liver=1,whole=1+2` */
function labelValues(text: string): Record<string, number[]> {
  const labels: Record<string, number[]> = {}
  for (const entry of text.split(',')) {
    const at = entry.lastIndexOf('=')
    const name = entry.slice(0, at).trim()
    const values = entry
      .slice(at + 1)
      .split('+')
      .map((value) => (value.trim() === '' ? Number.NaN : Number(value)))
    if (at < 1 || name === '' || !values.every((value) => Number.isInteger(value) && value !== 0))
      throw new InvalidArgumentError(
        `"${entry}" is not a name and its values. Expected e.g. liver=1,tumour=2 or whole=1+2; 0 is background.`,
      )
    if (Object.hasOwn(labels, name)) throw new InvalidArgumentError(`"${name}" stands twice.`)
    labels[name] = values
  }
  return labels
}

/** Two folders of masks; null where the arguments name something else. */
async function maskFolders(path: string | undefined, flags: Own): Promise<MaskFolders | null> {
  const { predictions, labels, names, cases, images } = flags
  const { isFolder } = await import('../../verbs/mask_pairs.ts')
  const areFolders = [predictions, labels].map((one) => one !== undefined && isFolder(one))
  const [isPredictions, isLabels] = await Promise.all(areFolders)
  if (!isPredictions && !isLabels) {
    if (names !== undefined || cases !== undefined || images !== undefined)
      throw new UserError(
        '--names, --cases and --images go with two folders of masks: fiducial evaluate --predictions predicted --labels labelsTs',
      )
    return null
  }
  if (predictions === undefined || labels === undefined || !isPredictions || !isLabels)
    throw new UserError(
      `${isPredictions ? predictions : labels} is a folder, ${(isPredictions ? labels : predictions) ?? 'the other'} is not.\n` +
        '  do: name two folders of masks, or two tables.',
    )
  if (path !== undefined || flags.data !== undefined || flags.allowFailed)
    throw new UserError(
      '--predictions and --labels are evaluated by themselves: name no run, package, --data or --allow-failed.',
    )
  if (flags.exclusive || flags.operatingPoints !== undefined)
    throw new UserError('--exclusive and --operating-points go with tables of scores, not with masks.')
  return {
    predictions,
    labels,
    ...(names && { names }),
    ...(cases !== undefined && { cases }),
    ...(images !== undefined && { images }),
  }
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
