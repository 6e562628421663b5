#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { asTyped } from './as_typed.ts'
import { deliver, reportFailure } from './outcome.ts'
import { commands } from './registry.ts'

/** Runs one command line and gives its exit code: 0, 2 user's mistake, 3 needs attention, 75 stopped, 1 bug. */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    process.cwd()
    await buildProgram().parseAsync(argv, { from: 'user' })
    return Number(process.exitCode ?? 0)
  } catch (error) {
    const json = argv.includes('--json')
    if (!(error instanceof CommanderError)) return reportFailure(error, { json })
    const isHelp = error.exitCode === 0 || error.code === 'commander.help'
    if (!isHelp && json) await deliver(JSON.stringify({ error: error.message, exit_code: 2 }))
    return isHelp ? 0 : 2
  }
}

function buildProgram(): Command {
  const program = new Command('fiducial')
    .description('From a folder of medical images to a trained, measured, served model.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand(false)
    .addHelpText(
      'after',
      '\nExample:\n  fiducial init ~/images && fiducial run recipe.yaml\n\n' +
        'Exit codes: 0 done; 2 a mistake of yours; 3 done, but something needs attention;\n' +
        '75 stopped by a signal, the same command resumes; 1 a bug of ours.',
    )
  for (const make of Object.values<() => Command>(commands)) program.addCommand(make())
  // Left-over text of a mistyped verb: commander names the nearest.
  for (const cmd of everyCommand(program))
    cmd
      .exitOverride()
      .configureOutput({
        writeOut: (text) => process.stdout.write(asTyped(text)),
        writeErr: (text) => process.stderr.write(asTyped(text)),
      })
      .showHelpAfterError(`(${pathOf(cmd)} --help shows an example)`)
  return program
}

function everyCommand(cmd: Command): Command[] {
  return [cmd, ...cmd.commands.flatMap(everyCommand)]
}

/** `fiducial runs compare` */
function pathOf(cmd: Command): string {
  return cmd.parent === null ? cmd.name() : `${pathOf(cmd.parent)} ${cmd.name()}`
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

// A reader that closed the pipe (`| head`) has what it wanted; a full disk takes nothing more.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    if (stream === process.stdout)
      process.stderr.write(
        `The result could not be written to standard output: ${error.code ?? error.message}.\n` +
          '  do: free some space, or send the output elsewhere; the same command goes on from what is finished.\n',
      )
    process.exit(2)
  })

if (import.meta.main) {
  const code = await main(process.argv.slice(2))
  // A write that failed is told one turn later.
  setImmediate(() => process.exit(code))
}
