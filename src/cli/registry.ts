import type { Command } from 'commander'
import { evaluateCommand } from './commands/evaluate.ts'
import { initCommand } from './commands/init.ts'
import { inspectCommand } from './commands/inspect.ts'
import { packageCommand } from './commands/package.ts'
import { predictCommand } from './commands/predict.ts'
import { prepareCommand } from './commands/prepare.ts'
import { runCommand } from './commands/run.ts'
import { runsCommand } from './commands/runs.ts'
import { serveCommand } from './commands/serve.ts'
import { trainCommand } from './commands/train.ts'

/** Every verb, in the order of `fiducial --help`. A verb lives in `commands/<verb>.ts` and is listed here. */
export const commands = {
  init: initCommand,
  inspect: inspectCommand,
  run: runCommand,
  prepare: prepareCommand,
  train: trainCommand,
  evaluate: evaluateCommand,
  package: packageCommand,
  predict: predictCommand,
  serve: serveCommand,
  runs: runsCommand,
} satisfies Record<string, () => Command>
