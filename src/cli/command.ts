import { availableParallelism } from 'node:os'
import { Command, Help, InvalidArgumentError, Option } from 'commander'
import { UserError } from '../schema/errors.ts'
import type { Io } from '../verbs/io.ts'
import { asTyped } from './as_typed.ts'
import { deliver } from './outcome.ts'
import { terminalIo } from './terminal.ts'

/**
 * One verb of the command line: parse, call, print. A command file holds nothing else, and imports its verb
 * inside `action`, so that `fiducial --help` loads neither zod nor sharp:
 *
 * ```ts
 * export function prepareCommand(): Command {
 *   return command<PrepareResult, { slice?: string }>({
 *     name: 'prepare',
 *     arguments: ['<recipe>'],
 *     summary: 'decode, resample and shard the images of a recipe',
 *     examples: ['fiducial prepare recipe.yaml --workers 4'],
 *     flags: ['set', 'workers', 'out', 'dry-run'],
 *     options: [new Option('--slice <i/n>', 'prepare only this slice; merge with --merge')],
 *     async action({ args: [path], flags, io }) {
 *       const { loadRecipe } = await import('../../verbs/load_recipe.ts')
 *       const { prepare } = await import('../../verbs/prepare.ts')
 *       return (await prepare(await loadRecipe(path!, flags.set), { workers: flags.workers }, io)).result
 *     },
 *     print: (result) => `${result.cases} cases in ${result.out}`,
 *     attention: (result) => (result.quarantined.length > 0 ? 'Some files could not be read …' : null),
 *   })
 * }
 * ```
 * Then the command is listed in `registry.ts`.
 */
export interface CommandSpec<Result, Own> {
  name: string
  /** commander's notation: `<required>`, `[optional]`, `<several...>`. */
  arguments?: readonly string[]
  /** One line, lower case, for `fiducial --help`. */
  summary: string
  /** More for `fiducial <verb> --help`; wrapped to the terminal, so that a line break counts as a space. */
  description?: string
  /** Whole command lines; at least one. */
  examples: readonly [string, ...string[]]
  /** Common flags that the verb takes besides --json, --quiet and --help. */
  flags?: readonly CommonFlag[]
  /** Flags of its own; their camelCase values appear in `flags`. */
  options?: readonly Option[]
  /** What is said on the first SIGINT or SIGTERM, where it is not a safe point that is waited for. */
  stopping?: string
  /** Calls the verb. Throws UserError and its kin for what the user can mend. */
  action(context: Context<Result, Own>): Promise<Result | undefined>
  /** The result for a person; stdout without --json. */
  print(result: Result, context: Context<Result, Own>): string
  /** When the work is done but something needs attention: what and what to do (stderr, exit code 3); else null. */
  attention?(result: Result): string | null
}

export interface Context<Result, Own> {
  /** Positional arguments, a variadic one spread out; missing optional ones are absent. */
  args: string[]
  flags: CommonFlags & Own
  /** Bound to stderr, SIGINT and SIGTERM. */
  io: Io
  /** Prints the one result now, for verbs that live on (serve); `action` then returns undefined. */
  emit(result: Result): Promise<void>
}

export type CommonFlag = 'set' | 'workers' | 'out' | 'run-dir' | 'dry-run'
export interface CommonFlags {
  json: boolean
  quiet: boolean
  /** `path=value` overrides of the recipe, in order. */
  set: string[]
  workers: number
  out?: string
  runDir?: string
  dryRun: boolean
}

/** A commander command with the common flags, result printing and exit codes of every verb. */
export function command<Result, Own = object>(spec: CommandSpec<Result, Own>): Command {
  const cmd = new Command(spec.name)
    .summary(spec.summary)
    .description((spec.description ?? sentence(spec.summary)).replaceAll('\n', ' '))
    .configureHelp({ optionDescription: describeOption })
  for (const argument of spec.arguments ?? []) cmd.argument(argument)
  for (const flag of spec.flags ?? []) cmd.addOption(COMMON[flag]())
  for (const option of spec.options ?? []) cmd.addOption(option)
  cmd.option('--json', 'print one JSON object on stdout, all else on stderr', false)
  cmd.option('--quiet', 'no progress on stderr, only what needs attention', false)
  cmd.addHelpText('after', `\nExample${spec.examples.length > 1 ? 's' : ''}:\n${indent(spec.examples)}`)
  cmd.action(async () => {
    const flags = { ...WITHOUT_FLAGS, ...cmd.opts() } as CommonFlags & Own
    const terminal = terminalIo({ quiet: flags.quiet, stopping: spec.stopping })
    const context: Context<Result, Own> = {
      args: cmd.processedArgs.flat().filter((a): a is string => typeof a === 'string'),
      flags,
      io: terminal.io,
      emit: (result) =>
        deliver(
          flags.json ? JSON.stringify(result) : asTyped(spec.print(result, context)),
          terminal.endProgress,
        ),
    }
    try {
      if (context.args.includes(''))
        throw new UserError('An argument is empty.\n  do: name a file or folder; "." is the one you are in.')
      const result = await spec.action(context)
      if (result === undefined) return
      await context.emit(result)
      const attention = spec.attention?.(result) ?? null
      if (attention !== null) {
        process.stderr.write(`${asTyped(attention)}\n`)
        process.exitCode = 3
      }
    } finally {
      terminal.dispose()
    }
  })
  return cmd
}

/** An option's parser for counts: `new Option('--port <n>').argParser(positiveInteger)`. */
export function positiveInteger(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError('Expected a whole number from 1.')
  return value
}

const MOST_THREADS = 1024

/** As `positiveInteger`, up to what a network's runtime can start. */
export function threadCount(text: string): number {
  const value = positiveInteger(text)
  if (value > MOST_THREADS) throw new InvalidArgumentError(`Expected at most ${MOST_THREADS} threads.`)
  return value
}

/** Values of the flags that a verb does not take. */
const WITHOUT_FLAGS = { set: [], workers: availableParallelism(), dryRun: false }

const COMMON: Record<CommonFlag, () => Option> = {
  set: () =>
    new Option('--set <path=value>', 'override a recipe key, e.g. train.lr=3e-4; repeatable')
      .argParser((value: string, before: string[]) => [...before, value])
      .default([], 'none'),
  workers: () =>
    new Option('--workers <n>', 'parallel workers on this machine')
      .argParser(positiveInteger)
      .default(availableParallelism(), 'one a core'),
  out: () => new Option('--out <dir>', 'folder to write to'),
  'run-dir': () => new Option('--run-dir <dir>', 'run folder to use'),
  'dry-run': () => new Option('--dry-run', 'say what would be done, write and start nothing').default(false),
}

/** A switch that is off unless given needs no word about its default. */
const describeOption = (option: Option) =>
  option.defaultValue === false ? option.description : new Help().optionDescription(option)

const indent = (lines: readonly string[]) => lines.map((line) => `  ${line}`).join('\n')
const sentence = (text: string) => `${text[0]!.toUpperCase()}${text.slice(1)}.`
