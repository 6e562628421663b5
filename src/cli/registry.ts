import type { Command } from 'commander'
import { predictCommand } from './commands/predict.ts'
import { runsCommand } from './commands/runs.ts'
import { serveCommand } from './commands/serve.ts'
import { trainCommand } from './commands/train.ts'

/** Every verb, in the order of `fiducial --help`. A verb lives in `commands/<verb>.ts` and is listed here. */
export const commands = {
  train: trainCommand,
  predict: predictCommand,
  serve: serveCommand,
  runs: runsCommand,
} satisfies Record<string, () => Command>
