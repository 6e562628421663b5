import { Command, Option } from 'commander'
import type {
  RunsCompareResult,
  RunsListResult,
  RunsLogsResult,
  RunsShowResult,
} from '../../schema/results.ts'
import { epochText } from '../../verbs/epoch_text.ts'
import { command, positiveInteger } from '../command.ts'
import { heading, metric, table } from '../table.ts'

/** Runs are looked for below ./runs; a path to a run folder works wherever it is. */
export function runsCommand(): Command {
  const group = new Command('runs').helpCommand(false).summary('list, show and compare runs; read their logs')
  group.description('Looks at run records. Runs are named by their folder below runs/, or by a path.')
  for (const make of [listCommand, showCommand, logsCommand, compareCommand]) group.addCommand(make())
  return group.addHelpText('after', '\nExample:\n  fiducial runs list')
}

function listCommand(): Command {
  return command<RunsListResult>({
    name: 'list',
    arguments: ['[folder]'],
    summary: 'all runs of a folder, newest first',
    examples: ['fiducial runs list', 'fiducial runs list /data/runs --json'],
    async action({ args: [folder] }) {
      const { runsList } = await import('../../verbs/runs.ts')
      return runsList(folder)
    },
    print: ({ runs, damaged }) =>
      [
        runs.length === 0
          ? 'No runs here.'
          : table(
              ['run', 'status', 'step', 'of', 'metric', 'best'],
              runs.map((run) => [
                run.run,
                run.status,
                String(run.step),
                run.total_steps === null ? '—' : String(run.total_steps),
                run.select,
                metric(run.best?.metrics[run.select]),
              ]),
            ),
        ...damaged.map(({ dir, reason }) => `damaged: ${dir}\n  ${reason}`),
      ].join('\n'),
  })
}

function showCommand(): Command {
  return command<RunsShowResult>({
    name: 'show',
    arguments: ['<run>'],
    summary: 'one run: configuration, validations, where the time went',
    examples: ['fiducial runs show chest-kermany-20261121-143005'],
    async action({ args: [run] }) {
      const { runsShow } = await import('../../verbs/runs.ts')
      return runsShow(run!)
    },
    print: showText,
  })
}

function showText(run: RunsShowResult): string {
  const names = Object.keys(run.validations[0]?.metrics ?? {})
  const total = Object.values(run.seconds).reduce((sum, s) => sum + s, 0)
  const parts = [
    `${heading(run.run)}  ${run.status}, step ${run.step}${run.total_steps === null ? '' : ` of ${run.total_steps}`}`,
    `created ${run.created}\nfolder  ${run.run_dir}`,
    ...Object.entries(run.files).map(([name, path]) => `${name.padEnd(17)}${path}`),
  ]
  if (run.message !== null) parts.push(run.message)
  if (run.validations.length > 0)
    parts.push(
      `\n${table(
        ['step', 'epoch', ...names, ''],
        run.validations.map((v) => [
          String(v.step),
          epochText(v),
          ...names.map((name) => metric(v.metrics[name])),
          v.step === run.best?.step ? 'best' : '',
        ]),
      )}${atAHalf(names)}`,
    )
  if (total > 0)
    parts.push(
      `\n${table(
        ['time', 'seconds', 'share'],
        Object.entries(run.seconds).map(([name, s]) => [
          name,
          s.toFixed(1),
          `${((100 * s) / total).toFixed(0)}%`,
        ]),
      )}`,
    )
  for (const warning of run.warnings) parts.push(`Warning: ${warning}`)
  return parts.join('\n')
}

/** Below the metrics of training that would need an operating point, where there are any: it knows none. */
const atAHalf = (metrics: readonly string[]) =>
  ['balanced_accuracy', 'f1_mean', 'accuracy'].some((name) => metrics.includes(name))
    ? '\nbalanced_accuracy, f1_mean and accuracy are at a score of 0.5 (exclusive classes: the highest score).'
    : ''

function logsCommand(): Command {
  return command<RunsLogsResult, { rank?: number; tail?: number }>({
    name: 'logs',
    arguments: ['<run>'],
    summary: "how the training went, and each rank's log",
    description:
      'The training as a log: starts, epochs and validations, warnings, best checkpoints, ends; then the last lines\n' +
      'that each rank wrote, with its rank before them. --rank shows one rank whole, as it was written.',
    examples: [
      'fiducial runs logs chest-kermany-20261121-143005 --tail 50',
      'fiducial runs logs chest-kermany-20261121-143005 --rank 1',
    ],
    options: [
      new Option('--rank <n>', "only this rank's log").argParser(
        (text) => positiveInteger(`${Number(text) + 1}`) - 1,
      ),
      new Option('--tail <n>', 'only the last lines of each').argParser(positiveInteger),
    ],
    async action({ args: [run], flags }) {
      const { runsLogs } = await import('../../verbs/runs.ts')
      return runsLogs(run!, { rank: flags.rank, tail: flags.tail })
    },
    print: (result, { flags }) =>
      flags.rank === undefined ? logsText(result, flags.tail ?? RANK_LINES) : linesOf(result.ranks),
  })
}

/** Lines of each rank below the training's log, unless --tail says how many. */
const RANK_LINES = 20
const linesOf = (ranks: RunsLogsResult['ranks']) => ranks.flatMap(({ lines }) => lines).join('\n')

function logsText({ log, ranks }: RunsLogsResult, most: number): string {
  const parts = ranks.map(({ rank, file, lines }) => {
    const left = lines.length - most
    const more = left > 0 ? `, ${left} earlier lines: --rank ${rank} shows all` : ''
    return [`rank ${rank}: ${file}${more}`, ...lines.slice(-most).map((line) => `[rank ${rank}] ${line}`)]
  })
  return [log, ...parts].map((lines) => lines.join('\n')).join('\n\n')
}

function compareCommand(): Command {
  return command<RunsCompareResult>({
    name: 'compare',
    arguments: ['<run>', '<others...>'],
    summary: 'where runs differ: configuration and best validation metrics',
    examples: ['fiducial runs compare chest-20261121-143005 chest-20261121-150210'],
    async action({ args }) {
      const { runsCompare } = await import('../../verbs/runs.ts')
      return runsCompare(args)
    },
    print({ runs, config, metrics }) {
      const value = (key: string, v: unknown) => {
        if (typeof v !== 'string') return JSON.stringify(v)
        return key === 'data.shard_set' ? v.slice(v.lastIndexOf('/') + 1) : v
      }
      const short = (text: string) => (text.length > 32 ? `${text.slice(0, 29)}…` : text)
      const rows = table(
        ['', ...runs],
        [
          ...Object.entries(metrics).map(([name, values]) => [name, ...values.map(metric)]),
          ...Object.entries(config).map(([key, values]) => [key, ...values.map((v) => short(value(key, v)))]),
        ],
      )
      return `${rows}${atAHalf(Object.keys(metrics))}`
    },
  })
}
