import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { deliver, reportFailure } from './outcome.ts'
import { commands } from './registry.ts'

/** Runs one command line and gives its exit code: 0, 2 user's mistake, 3 needs attention, 75 stopped, 1 bug. */
export async function main(argv: readonly string[]): Promise<number> {
  try {
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
  for (const cmd of everyCommand(program)) cmd.exitOverride()
  return program
}

function everyCommand(cmd: Command): Command[] {
  return [cmd, ...cmd.commands.flatMap(everyCommand)]
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

// A reader that closed the pipe (`| head`) has what it wanted.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    process.exit(0)
  })

if (import.meta.main) process.exit(await main(process.argv.slice(2)))
