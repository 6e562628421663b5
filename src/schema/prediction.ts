import { z } from 'zod'
import { Attributes, Labels } from './case.ts'

const perLabel = z.record(z.string(), z.number())
/** A line of `predictions/<split>.jsonl`: logits as the network gives them, scores after activation. */
export const Prediction = z.strictObject({
  case_id: z.string(),
  patient_id: z.string(),
  labels: Labels,
  logits: perLabel,
  scores: perLabel,
  attributes: Attributes,
})
export type Prediction = z.infer<typeof Prediction>

/** The same of a segmentation. */
export const SegmentPrediction = z.strictObject({
  case_id: z.string(),
  patient_id: z.string(),
  mask: z
    .string()
    .describe("Beside this file: NIfTI on the grid of the case's own images, as `predict` writes it."),
  mask_sha256: z.string(),
  attributes: Attributes,
})
export type SegmentPrediction = z.infer<typeof SegmentPrediction>
