import { z } from 'zod'
import { SPLIT_PARTS } from './case.ts'
import { EvaluateConfig, OperatingPointRule } from './recipe.ts'
import { sha256 } from './shard_set.ts'

/** A metric with its interval, or null with the reason it is undefined. */
export const Metric = z.union([
  z.strictObject({ value: z.number(), low: z.number().nullable(), high: z.number().nullable() }),
  z.strictObject({ value: z.null(), reason: z.string() }),
])
export type Metric = z.infer<typeof Metric>
export const Metrics = z.record(z.string(), Metric)

/** A threshold, chosen on validation, and what it gave there. */
export const OperatingPoint = z.strictObject({
  label: z.string(),
  threshold: z
    .number()
    .describe('Positive when score >= threshold; midway between two adjacent validation scores.'),
  rule: OperatingPointRule.nullable().describe('What chose it; null for a threshold that was given.'),
  attained: z.boolean().describe('False when no threshold meets subject_to; the nearest is then given.'),
  chosen_on: z
    .string()
    .describe("Split it was chosen on: 'val', or 'these predictions' for others' results."),
  metrics: Metrics.describe('On the split it was chosen on.'),
})
export type OperatingPoint = z.infer<typeof OperatingPoint>

export const Confusion = z.strictObject({ tp: z.int(), fp: z.int(), tn: z.int(), fn: z.int() })
export const LabelEvaluation = z.strictObject({
  positive: z.int(),
  negative: z.int(),
  unknown: z.int(),
  auroc: Metric,
  average_precision: Metric,
  sensitivity: Metric,
  specificity: Metric,
  precision: Metric,
  f1: Metric,
  balanced_accuracy: Metric,
  accuracy: Metric,
  confusion: Confusion.nullable(),
  roc: z
    .array(z.tuple([z.number(), z.number()]))
    .describe('[1 - specificity, sensitivity], at most 200 points.'),
  pr: z.array(z.tuple([z.number(), z.number()])).describe('[recall, precision], at most 200 points.'),
})
export type LabelEvaluation = z.infer<typeof LabelEvaluation>
export const Subgroup = z.strictObject({
  attribute: z.string(),
  value: z.string(),
  cases: z.int(),
  patients: z.int(),
  per_label: z.record(
    z.string(),
    z.strictObject({ auroc: Metric, sensitivity: Metric, specificity: Metric }),
  ),
})
export type Subgroup = z.infer<typeof Subgroup>
export type Confusion = z.infer<typeof Confusion>

/** `evaluation.json`, and what `evaluate --json` prints. */
export const Evaluation = z.strictObject({
  format: z.literal(1),
  source: z.string().describe('Run, package or files that made the predictions.'),
  split: z.union([z.enum(SPLIT_PARTS), z.literal('all')]),
  cases: z.int(),
  patients: z.int(),
  task: z.strictObject({ labels: z.array(z.string()), exclusive: z.boolean() }),
  metrics: Metrics.describe(
    'auroc_mean, average_precision_mean, …; multi-class adds accuracy and balanced_accuracy.',
  ),
  per_label: z.record(z.string(), LabelEvaluation),
  confusion_matrix: z
    .strictObject({
      labels: z.array(z.string()),
      counts: z.array(z.array(z.int())).describe('[truth][prediction]'),
    })
    .nullable()
    .describe('Multi-class only.'),
  operating_points: z.record(z.string(), OperatingPoint),
  subgroups: z.array(Subgroup),
  bootstrap: z.strictObject({
    resamples: z.int(),
    confidence: z.number(),
    clusters: z.string(),
    seed: z.int(),
  }),
  test_openings: z.int(),
  warnings: z.array(z.string()),
  computed_from: z
    .strictObject({
      predictions_sha256: sha256.describe('Of predictions/<split>.jsonl.'),
      evaluate: EvaluateConfig,
    })
    .exactOptional()
    .describe("Of a run's evaluation: what tells whether it is still current."),
})
export type Evaluation = z.infer<typeof Evaluation>
