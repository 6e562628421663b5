import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { rankFile, readRankLogs } from '../launch/rank_log.ts'
import { eventsOf } from '../runs/events.ts'
import { findByReference } from '../runs/find.ts'
import { RUN_FILES, runsFolder } from '../runs/folder.ts'
import { listRuns } from '../runs/list.ts'
import type { RunRecord } from '../runs/read.ts'
import { UserError } from '../schema/errors.ts'
import type {
  RunSummary,
  RunsCompareResult,
  RunsListResult,
  RunsLogsResult,
  RunsShowResult,
} from '../schema/results.ts'
import { staleTest } from './test_state.ts'
import { trainingLog } from './training_log.ts'

/** All runs of a folder, newest first. */
export async function runsList(parent: string = runsFolder()): Promise<RunsListResult> {
  const { runs, damaged } = await listRuns(parent)
  return { runs: runs.map(summary), damaged }
}

/** One run whole: what it was, how it went, what it left. */
export async function runsShow(reference: string, parent: string = runsFolder()): Promise<RunsShowResult> {
  const run = await findByReference(reference, parent)
  const ends = eventsOf(run.events, 'end')
  const seconds: Record<string, number> = {}
  for (const end of ends)
    for (const [name, value] of Object.entries(end.seconds)) seconds[name] = (seconds[name] ?? 0) + value
  const stale = await staleTest(run.dir)
  return {
    ...summary(run),
    config: run.config,
    validations: eventsOf(run.events, 'validation').map(({ step, epoch, metrics, is_best }) => ({
      step,
      epoch,
      metrics,
      is_best,
    })),
    seconds,
    warnings: [
      ...(stale === null ? [] : [stale]),
      ...run.damage,
      ...eventsOf(run.events, 'warning').map((event) => event.message),
    ],
    message: ends.at(-1)?.message ?? null,
    files: await existingFiles(run.dir),
  }
}

/** How the training went, as a log, and what each rank's processes said. */
export async function runsLogs(
  reference: string,
  options: { rank?: number | undefined; tail?: number | undefined } = {},
  parent: string = runsFolder(),
): Promise<RunsLogsResult> {
  const run = await findByReference(reference, parent)
  const logsDir = join(run.dir, RUN_FILES.logs)
  const ranks = await readRankLogs(logsDir)
  const wanted = ranks.filter(({ rank }) => options.rank === undefined || rank === options.rank)
  if (wanted.length === 0)
    throw new UserError(
      ranks.length === 0
        ? `${run.id} has no logs yet.`
        : `${run.id} has no rank ${options.rank}; its ranks are 0 to ${ranks.length - 1}.`,
    )
  const last = (lines: string[]) => (options.tail === undefined ? lines : lines.slice(-options.tail))
  return {
    run_dir: run.dir,
    log: last([...run.damage, ...trainingLog(run.events, run.config.train.select)]),
    ranks: wanted.map(({ rank, lines }) => ({
      rank,
      file: rankFile(logsDir, rank, 'log'),
      lines: last(lines),
    })),
  }
}

/** Where runs differ: configuration keys whose values are not all equal, and the metrics of their best checkpoints. */
export async function runsCompare(
  references: readonly string[],
  parent: string = runsFolder(),
): Promise<RunsCompareResult> {
  const runs = await Promise.all(references.map((reference) => findByReference(reference, parent)))
  const flat = runs.map((run) => flatten(run.config))
  const keys = [...new Set(flat.flatMap((config) => Object.keys(config)))]
  const differing = keys.filter(
    (key) =>
      key !== 'provenance.created' && flat.some((config) => !isDeepStrictEqual(config[key], flat[0]![key])),
  )
  const metricNames = [...new Set(runs.flatMap((run) => Object.keys(run.best?.metrics ?? {})))]
  return {
    runs: runs.map((run) => run.id),
    config: Object.fromEntries(differing.map((key) => [key, flat.map((config) => config[key] ?? null)])),
    metrics: Object.fromEntries(
      metricNames.map((name) => [name, runs.map((run) => run.best?.metrics[name] ?? null)]),
    ),
  }
}

function summary(run: RunRecord): RunSummary {
  return {
    run: run.id,
    run_dir: run.dir,
    name: run.config.name,
    status: run.status,
    step: run.step,
    total_steps: run.totalSteps,
    created: run.config.provenance.created,
    best: run.best === null ? null : { step: run.best.step, metrics: run.best.metrics },
    select: run.config.train.select,
  }
}

async function existingFiles(dir: string): Promise<Record<string, string>> {
  const files = {
    report: RUN_FILES.report,
    evaluation: RUN_FILES.evaluation,
    test_report: RUN_FILES.testReport,
    test_evaluation: RUN_FILES.testEvaluation,
    package: RUN_FILES.package,
  }
  const found: Record<string, string> = {}
  for (const [name, file] of Object.entries(files)) {
    const path = join(dir, file)
    if (await exists(path)) found[name] = path
  }
  return found
}

type Json = RunsCompareResult['config'][string][number]

/** `{ a: { b: 1 } }` as `{ 'a.b': 1 }`; arrays stay whole. */
function flatten(value: object, prefix = ''): Record<string, Json> {
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inner]) =>
      inner !== null && typeof inner === 'object' && !Array.isArray(inner)
        ? Object.entries(flatten(inner, `${prefix}${key}.`))
        : [[`${prefix}${key}`, inner as Json]],
    ),
  )
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
