import { z } from 'zod'
import { SPLIT_PARTS } from './case.ts'
import { PreprocessSpec, SpacingMm } from './preprocess.ts'
import { Quarantined, sha256 } from './shard_set.ts'

const triple = z.tuple([z.int().positive(), z.int().positive(), z.int().positive()])
const counts = z.record(z.string(), z.int().positive())

/** `shards/00000.report.json`, written last of a shard's files: the shard is whole when it exists. */
export const ShardReport = z.strictObject({
  shard: z
    .strictObject({
      file: z.string().describe("Relative to the set, e.g. 'shards/00000.safetensors'."),
      num_cases: z.int().positive(),
      bytes: z.int().positive(),
      sha256,
      cases_bytes: z.int().positive().describe('Of 00000.cases.jsonl.'),
      cases_sha256: sha256,
      sums_bytes: z.int().positive().describe('Of 00000.sums.safetensors.'),
      sums_sha256: sha256,
    })
    .nullable()
    .describe('null when every case of it was quarantined: there are no files then.'),
  quarantined: z.array(Quarantined),
  notes: counts.describe('What preprocessing had to say, e.g. about clipping → cases.'),
  formats: counts.describe('Format name → files, e.g. png/8-bit/grey.'),
  heights: counts.describe('Rows of the source image → files; of volumes none.'),
  widths: counts,
  volume: z
    .strictObject({
      source_shape: triple.describe('[z, y, x] in the stored orientation, as the others.'),
      source_spacing_mm: SpacingMm,
    })
    .exactOptional()
    .describe('Of a set of volumes, whose shards hold one case each.'),
})
export type ShardReport = z.infer<typeof ShardReport>

/** `plan.json` of a staging folder: what its shards are made with, fixed before the first of them. */
export const StagingPlan = z.strictObject({
  format: z.literal(1),
  staging_key: sha256.describe('Of everything known before reading: the set that is being made.'),
  preprocess: PreprocessSpec,
  case_bytes: z.int().positive().describe('Of a stored case; of volumes the mean of a sample.'),
  mask_values: z.array(z.int()).nullable().describe('Those that masks may hold; null without masks.'),
  mask_labels: z
    .record(z.string(), z.int())
    .nullable()
    .describe('Names that DICOM masks give their structures → value; null: their own numbers.'),
  brick: triple
    .nullable()
    .describe('[z, y, x] of the bricks that volumes are deflated in; null: stored plainly.'),
  deidentified: z.boolean().describe('Reports and the quarantine name cases, never files.'),
  code_version: z.int(),
})
export type StagingPlan = z.infer<typeof StagingPlan>

/** A line of `private/source_hashes.jsonl`: a file that need not be read again while its stamp holds. */
export const SourceStamp = z.strictObject({
  path: z.string().describe('Absolute.'),
  size: z.int().min(0),
  mtime_ns: z.string(),
  sha256,
})
export type SourceStamp = z.infer<typeof SourceStamp>

/** A line of `private/00000.sources.jsonl` in a staging folder: what each case of a finished shard was read from. */
export const StagedSource = z.strictObject({
  case_id: z.string(),
  files: z.array(
    z.strictObject({
      path: z.string(),
      stamp: z
        .strictObject({ size: z.int(), mtime_ns: z.string() })
        .nullable()
        .describe('null: no such file.'),
      sha256: sha256.nullable().describe('null: the file could not be read.'),
    }),
  ),
})
export type StagedSource = z.infer<typeof StagedSource>

/** `report.json` of a shard set: how it came about. The only file of a set that differs between equal sets. */
export const PrepareReport = z.strictObject({
  format: z.literal(1),
  set_id: sha256,
  request_ids: z
    .array(sha256)
    .min(1)
    .describe(
      'Of the `prepare` keys, code version and sources that this set answers, unreadable ones included.',
    ),
  config_id: sha256.describe('Of the `prepare` keys that shape pixels, and the code version.'),
  case_list_id: sha256.describe('Of the case ids asked for, in sorted order.'),
  updated_from: sha256.nullable().describe('The set that --update started from.'),
  cases: z.int(),
  quarantined: z.int(),
  shards: z.int(),
  bytes: z.int(),
  notes: counts,
  seconds: z.number(),
  workers: z.int(),
})
export type PrepareReport = z.infer<typeof PrepareReport>

/** A line of `kept/<rule>.jsonl`: the part or fold that a patient has had before an update and keeps. */
export const KeptPatient = z.strictObject({
  patient_id: z.string(),
  place: z.union([z.enum(SPLIT_PARTS), z.int().min(0)]).describe('A part, or the number of a fold.'),
})
export type KeptPatient = z.infer<typeof KeptPatient>
