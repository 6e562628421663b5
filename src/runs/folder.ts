import { join } from 'node:path'

/** Where things lie in a run folder `runs/<name>-<time>/`; see DESIGN's "Run". */
export const RUN_FILES = {
  config: 'run.json',
  recipe: 'recipe.yaml',
  lock: 'lock.json',
  events: 'events.jsonl',
  logs: 'logs',
  checkpoints: 'checkpoints',
  best: join('checkpoints', 'best.json'),
  latest: join('checkpoints', 'latest.json'),
  predictions: 'predictions',
  valPredictions: join('predictions', 'val.jsonl'),
  evaluation: 'evaluation.json',
  report: 'report.html',
  testEvaluation: 'evaluation-test.json',
  testReport: 'report-test.html',
  package: 'package',
} as const

/** `runs/` of the working directory: where runs are made and looked for unless a folder is named. */
export const runsFolder = (cwd: string = process.cwd()) => join(cwd, 'runs')

/** `20261121-143005`, local time as a person reads it on the wall. */
export function timestamp(now: Date): string {
  const two = (n: number) => String(n).padStart(2, '0')
  const date = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`
  return `${date}-${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}`
}
