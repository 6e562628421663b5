import { z } from 'zod'
import { evaluatePredictions } from '../evaluate/evaluate.ts'
import { UserError } from '../schema/errors.ts'
import { Evaluation, type OperatingPoint } from '../schema/evaluation.ts'
import { parse } from '../schema/parse.ts'
import { EvaluateConfig } from '../schema/recipe.ts'
import { tableName } from '../sources/table.ts'
import { readTextIfExists } from '../storage/local.ts'
import type { Evaluated, EvaluateOptions } from './evaluate.ts'
import type { Io } from './io.ts'
import { applyOverride } from './load_recipe.ts'
import { readPredictionTables } from './prediction_tables.ts'

/** Others' results: one table of scores, one of labels. */
export interface PredictionFiles {
  predictions: string
  labels: string
  /** Classes exclude each other: decisions by the highest score. */
  exclusive?: boolean
  /** An evaluation.json whose operating points are applied; else they are chosen on these predictions, with a warning. */
  operating_points?: string
}

/**
 * Evaluates predictions that another tool made. Needs no run, no package and no Python.
 *
 * @throws {UserError} naming the first cases of every kind of mistake in the tables
 */
export async function evaluateTables(
  files: PredictionFiles,
  options: EvaluateOptions,
  io: Io,
): Promise<Evaluated> {
  const config = evaluateConfig(options.set ?? [])
  const { predictions, labels, attributes, hasPatients, warnings } = await readPredictionTables(
    files.predictions,
    files.labels,
  )
  const exclusive = files.exclusive ?? false
  if (!exclusive && looksExclusive(predictions, labels))
    warnings.push(
      'Scores of each case sum to 1 and each case has one label: if the classes exclude each other, add --exclusive.',
    )
  const fixed =
    files.operating_points === undefined ? null : await readOperatingPoints(files.operating_points, labels)
  const subgroups = options.subgroups ?? config.subgroups
  const unknown = subgroups.filter((name) => !attributes.includes(name))
  if (unknown.length > 0)
    throw new UserError(
      `${tableName(files.labels)} has no column ${unknown.map((name) => `"${name}"`).join(', ')} for subgroups.\n` +
        `  attributes found: ${attributes.join(', ') || 'none'}`,
    )
  if (subgroups.length === 0 && attributes.length > 0)
    io.log(`Attributes found: ${attributes.join(', ')}. --subgroups measures groups of them apart.`)
  const evaluation = evaluatePredictions(predictions, {
    task: { labels, exclusive },
    source: tableName(files.predictions),
    split: options.split,
    rule: config.operating_point,
    ...(fixed && { operating_points: fixed }),
    chosen_on: 'these predictions',
    bootstrap: config.bootstrap,
    confidence: config.confidence,
    seed: config.seed,
    subgroups,
    clusters: hasPatients ? 'patient' : 'case',
    test_openings: 0,
    warnings,
  })
  return {
    evaluation,
    report: { title: tableName(files.predictions), synthetic: false },
    dir: null,
    files: { evaluation: 'evaluation.json', report: 'report.html' },
  }
}

/** The recipe's `evaluate`, by its defaults and `--set evaluate.…`. */
export function evaluateConfig(overrides: readonly string[]): EvaluateConfig {
  let value: unknown = {}
  for (const override of overrides) value = applyOverride(value, override)
  return parse(z.strictObject({ evaluate: EvaluateConfig.prefault({}) }), value, '--set').evaluate
}

async function readOperatingPoints(
  path: string,
  labels: readonly string[],
): Promise<Record<string, OperatingPoint>> {
  const text = await readTextIfExists(path)
  if (text === null) throw new UserError(`There is no file ${path} to take operating points from.`)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new UserError(`${path} is not JSON; an evaluation.json is expected.`, { cause })
  }
  const { operating_points } = parse(Evaluation, value, path)
  const missing = labels.filter((label) => operating_points[label] === undefined)
  if (missing.length === labels.length)
    throw new UserError(
      `${path} has operating points for ${Object.keys(operating_points).join(', ') || 'nothing'}, not for ${missing.join(', ')}.`,
    )
  return Object.fromEntries(Object.entries(operating_points).filter(([label]) => labels.includes(label)))
}

function looksExclusive(
  predictions: readonly { scores: Record<string, number>; labels: Record<string, number | null> }[],
  labels: readonly string[],
): boolean {
  if (labels.length < 2) return false
  return predictions.every(({ scores, labels: truth }) => {
    const sum = labels.reduce((all, label) => all + scores[label]!, 0)
    return Math.abs(sum - 1) < 1e-3 && labels.filter((label) => truth[label] === 1).length === 1
  })
}
