import { z } from 'zod'
import { Attributes, Labels } from './case.ts'
import { ImageSpec, InputNormalization, Intensity, SpacingMm, VolumeSpec } from './preprocess.ts'

export const sha256 = z.string().regex(/^[0-9a-f]{64}$/, '64 hexadecimal digits')
const shape = z.tuple([z.int().positive(), z.int().positive(), z.int().positive()])

const triple = z.tuple([z.int().positive(), z.int().positive(), z.int().positive()])
const affine = z.array(z.number()).length(16).describe('Row-major: (z, y, x, 1) to mm, RAS+.')
const indexKeys = {
  format: z.literal(1),
  set_id: sha256,
  code_version: z.int(),
  num_cases: z.int().min(0),
  shards: z.array(
    z.strictObject({
      file: z.string().describe("Relative to the set, e.g. 'shards/00000.safetensors'."),
      num_cases: z.int().positive(),
      bytes: z.int().positive(),
      sha256,
    }),
  ),
}
export const ImageShardIndex = z.strictObject({
  kind: z.literal('images'),
  preprocess: ImageSpec,
  sample_shape: shape.describe('[C, H, W] of each stored sample.'),
  dtype: z.enum(['uint8', 'int16']),
  ...indexKeys,
})
export type ImageShardIndex = z.infer<typeof ImageShardIndex>
/**
 * One shard a case: `image` [C, Z, Y, X]; and with masks `mask` uint8 [Z, Y, X] and `foreground` int32 [M, 4], rows of
 * [mask value, z, y, x] in ascending order, evenly taken where a value has more than 10,000 voxels.
 */
export const VolumeShardIndex = z.strictObject({
  kind: z.literal('volumes'),
  preprocess: VolumeSpec,
  dtype: z.enum(['uint8', 'int16', 'float16', 'float32']),
  has_masks: z.boolean(),
  brick: triple
    .nullable()
    .describe(
      '[z, y, x] of the bricks that image and mask are deflated in, as `image_bricks`, where each ends as `image_ends`, and `image_shape`; null: stored plainly.',
    ),
  ...indexKeys,
})
export type VolumeShardIndex = z.infer<typeof VolumeShardIndex>
/** `index.json`, the manifest of a shard set, written last. */
export const ShardIndex = z.discriminatedUnion('kind', [ImageShardIndex, VolumeShardIndex])
export type ShardIndex = z.infer<typeof ShardIndex>

/** A line of `shards/00000.cases.jsonl`; `tensor` is `image` [N, C, H, W] and `row` its first index. */
export const ImageShardCase = z.strictObject({
  case_id: z.string(),
  tensor: z.literal('image'),
  row: z.int().min(0),
  shape,
  dtype: z.enum(['uint8', 'int16']),
  sha256: sha256.describe('Of the source file.'),
})
/** The same of a volume: `tensor` is `image` [C, Z, Y, X] itself. */
export const VolumeShardCase = z.strictObject({
  case_id: z.string(),
  tensor: z.literal('image'),
  row: z.literal(0),
  shape: z.tuple([z.int().positive(), ...triple.def.items]).describe('[C, Z, Y, X].'),
  dtype: z.enum(['uint8', 'int16', 'float16', 'float32']),
  affine,
  source_shape: triple.describe("[z, y, x] of the source's own grid, on which masks are given back."),
  source_affine: affine,
  mask_voxels: z
    .record(z.string(), z.int().positive())
    .nullable()
    .describe('Mask value → stored voxels, without background; null without a mask.'),
  sha256: sha256.describe("Of the source file; of several, of their sha256 in order, and the mask's."),
})
export type VolumeShardCase = z.infer<typeof VolumeShardCase>
export const ShardCase = z.union([ImageShardCase, VolumeShardCase])
export type ShardCase = z.infer<typeof ShardCase>

/** A line of `quarantine.jsonl`. */
export const Quarantined = z.strictObject({
  case_id: z.string(),
  file: z.string(),
  reason: z.string().describe('What is wrong and what to do.'),
})
export type Quarantined = z.infer<typeof Quarantined>

/** `fingerprint.json`: what the stored data look like; packages carry it. */
export const ImageFingerprint = z.strictObject({
  kind: z.literal('images'),
  num_cases: z.int(),
  source_formats: z.record(z.string(), z.int()).describe('Format name → files, e.g. png/8-bit/grey.'),
  source_height: z.strictObject({ min: z.int(), median: z.number(), max: z.int() }),
  source_width: z.strictObject({ min: z.int(), median: z.number(), max: z.int() }),
  mean: z.array(z.number()).describe('Per channel over all stored pixels, in 0..1.'),
  std: z.array(z.number()),
})
export type ImageFingerprint = z.infer<typeof ImageFingerprint>
const range = z.strictObject({ min: z.number(), median: z.number(), max: z.number() })
const ranges = z.tuple([range, range, range])
export const VolumeFingerprint = z.strictObject({
  kind: z.literal('volumes'),
  num_cases: z.int(),
  source_formats: z.record(z.string(), z.int()).describe('Format name → files.'),
  source_shape: ranges.describe('[z, y, x] in the stored orientation.'),
  source_spacing_mm: ranges.describe('[z, y, x] in the stored orientation.'),
  stored_shape: ranges.describe('[z, y, x].'),
  spacing_mm: SpacingMm.nullable(),
  mean: z.array(z.number()).describe('Per channel over all stored voxels, scaled.'),
  std: z.array(z.number()),
  intensity: z.array(Intensity).describe('One a channel.'),
})
export type VolumeFingerprint = z.infer<typeof VolumeFingerprint>
export const Fingerprint = z.discriminatedUnion('kind', [ImageFingerprint, VolumeFingerprint])
export type Fingerprint = z.infer<typeof Fingerprint>

/**
 * `tables/labels-<id>/`: `cases.jsonl`, one `TableCase` a line in shard order (shard by shard, row by row), and
 * `labels.safetensors` with `labels` int8 [N, L]: 1, 0, or -1 unknown. `labels.json` is written last.
 */
export const LabelsTable = z.strictObject({
  format: z.literal(1),
  set_id: sha256,
  labels_id: sha256,
  labels: z.array(z.string()),
  num_cases: z.int(),
  sha256: sha256.describe('Of labels.safetensors.'),
})
export const TableCase = z.strictObject({
  case_id: z.string(),
  patient_id: z.string(),
  labels: Labels,
  attributes: Attributes,
})
export type TableCase = z.infer<typeof TableCase>

export const PartCounts = z.strictObject({ train: z.int(), val: z.int(), test: z.int() })
/**
 * `tables/split-<id>/`: `split.safetensors` with `part` uint8 [N] in shard order: 0 none, 1 train, 2 val, 3 test,
 * and for cross-validation `fold` int32 [N]; `rule.json`, the recipe's `data.split`; `split.json` is written last.
 */
export const SplitTable = z.strictObject({
  format: z.literal(1),
  set_id: sha256,
  split_id: sha256,
  labels_id: sha256,
  kind: z.enum(['random', 'column', 'official', 'folds']),
  cases: PartCounts,
  patients: PartCounts,
  leaks: z.array(
    z.strictObject({ kind: z.string(), case_ids: z.array(z.string()), splits: z.array(z.string()) }),
  ),
  normalization: InputNormalization.describe("The training split's mean and std, or what the recipe names."),
  sha256: sha256.describe('Of split.safetensors.'),
})
export type LabelsTable = z.infer<typeof LabelsTable>
export type SplitTable = z.infer<typeof SplitTable>
/** Codes of `part` in `split.safetensors`. */
export const PART_CODES = { train: 1, val: 2, test: 3 } as const
