import { z } from 'zod'

export const SPLIT_PARTS = ['train', 'val', 'test'] as const
export type SplitPart = (typeof SPLIT_PARTS)[number]

export const LabelValue = z.union([z.literal(0), z.literal(1), z.null()])
/** Label name → 1 present, 0 absent, null unknown (masked). Multi-class cases are one-hot. */
export const Labels = z.record(z.string(), LabelValue)
export type Labels = z.infer<typeof Labels>
export const Attributes = z.record(z.string(), z.union([z.string(), z.number(), z.null()]))
export type Attributes = z.infer<typeof Attributes>

/** A line of `cases.jsonl`: one labelled unit of evaluation. `images` are paths relative to the data root. */
export const Case = z.strictObject({
  case_id: z.string().min(1),
  patient_id: z.string().min(1),
  study_id: z.string().exactOptional().describe('Of images that are evaluated by study.'),
  images: z
    .array(z.string())
    .min(1)
    .describe('A 2D image; the files of a volume: one, one a channel, or the instances of a DICOM series.'),
  mask: z.string().exactOptional().describe('Of a segmentation: labels on the grid of the images.'),
  labels: Labels,
  attributes: Attributes,
  fold: z.int().min(0).exactOptional().describe("The data set's own fold that validates on the case."),
  split: z.enum(SPLIT_PARTS).optional().describe('The part that the data set itself puts the case in.'),
})
export type Case = z.infer<typeof Case>
