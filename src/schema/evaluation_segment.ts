import { z } from 'zod'
import { Attributes, SPLIT_PARTS } from './case.ts'
import { Metric, Metrics } from './evaluation.ts'
import { EvaluateConfig } from './recipe.ts'
import { sha256 } from './shard_set.ts'

/** One structure in one case. Metrics are null where it is in neither mask. */
export const StructureMetrics = z.strictObject({
  outcome: z
    .enum(['found', 'missed', 'falsely_present', 'correctly_absent'])
    .describe('Which of the masks it is in: both, the reference, the prediction, neither.'),
  reference_ml: z.number(),
  prediction_ml: z.number(),
  dice: z.number().nullable(),
  surface_dice: z.number().nullable(),
  hd95_mm: z.number().nullable().describe("The image's diagonal where it is in one mask only."),
  volume_error_ml: z.number().nullable().describe('Prediction minus reference.'),
  volume_error_relative: z.number().nullable().describe('Of the reference; null where that is empty.'),
})
export type StructureMetrics = z.infer<typeof StructureMetrics>

/** One structure over all cases: a mean is over the cases that are not correctly absent. */
export const StructureEvaluation = z.strictObject({
  counted: z.int().describe('Cases that the means are over: all but those correctly absent.'),
  found: z.int().describe('In both masks.'),
  missed: z.int().describe('In the reference only.'),
  falsely_present: z.int().describe('In the prediction only.'),
  correctly_absent: z.int().describe('In neither.'),
  dice: Metric,
  surface_dice: Metric,
  hd95_mm: Metric,
  volume_error_ml: Metric.describe('Signed: what is added here and lost there cancels out.'),
  absolute_volume_error_ml: Metric,
  volume_error_relative: Metric.describe('Signed; over the cases whose reference has the structure.'),
})
export type StructureEvaluation = z.infer<typeof StructureEvaluation>

export const SegmentSubgroup = z.strictObject({
  attribute: z.string(),
  value: z.string(),
  cases: z.int(),
  patients: z.int(),
  per_label: z.record(
    z.string(),
    z.strictObject({ counted: z.int(), dice: Metric, surface_dice: Metric, hd95_mm: Metric }),
  ),
})
export type SegmentSubgroup = z.infer<typeof SegmentSubgroup>

/** What is done with a network's outputs besides blending windows. */
export const MaskInference = z.strictObject({
  mirror: z
    .array(z.enum(['z', 'y', 'x']))
    .describe('Axes along which inputs are mirrored and the results averaged.'),
  largest_component: z.array(z.string()).describe('Structures of which only the largest piece is kept.'),
  reasons: z.array(z.string()).describe('What each was chosen by, a line each.'),
})
export type MaskInference = z.infer<typeof MaskInference>

/** `evaluation.json` of masks, and what `evaluate --json` prints of them. */
export const SegmentEvaluation = z.strictObject({
  format: z.literal(1),
  source: z.string().describe('Run, package or folder that the predicted masks are of.'),
  split: z.union([z.enum(SPLIT_PARTS), z.literal('all')]),
  cases: z.int(),
  patients: z.int(),
  task: z.strictObject({
    kind: z.literal('segment'),
    labels: z
      .record(z.string(), z.array(z.int()))
      .describe('Name → voxel values; a region has several, and may share them.'),
  }),
  surface_tolerance_mm: z.number(),
  distance_unit: z
    .literal('px')
    .exactOptional()
    .describe(
      'Of 2D images without a place in a patient: what ends in _mm counts pixels, and what ends in _ml thousands of them. Absent: mm and ml.',
    ),
  inference: MaskInference.exactOptional().describe(
    'Of a run: how its masks come about, fixed on validation.',
  ),
  metrics: Metrics.describe('Means over labels: dice_mean, surface_dice_mean, hd95_mm_mean.'),
  per_label: z.record(z.string(), StructureEvaluation),
  per_case: z.array(
    z.strictObject({
      case_id: z.string(),
      patient_id: z.string(),
      attributes: Attributes,
      per_label: z.record(z.string(), StructureMetrics),
    }),
  ),
  subgroups: z.array(SegmentSubgroup),
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
export type SegmentEvaluation = z.infer<typeof SegmentEvaluation>
