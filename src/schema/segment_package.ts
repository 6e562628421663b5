import { z } from 'zod'
import { MaskInference } from './evaluation_segment.ts'
import { ModelPackage } from './model_package.ts'
import { InputNormalization, VolumeSpec } from './preprocess.ts'
import { sha256, VolumeFingerprint } from './shard_set.ts'
import { Structure } from './task.ts'

const triple = z.tuple([z.int().positive(), z.int().positive(), z.int().positive()])
const { format, name, version, status, synthetic, preprocess_code_version, files, provenance } =
  ModelPackage.shape

/** `model.json` of a package that segments volumes, or 2D images as volumes of one slice. */
export const SegmentPackage = z.strictObject({
  format,
  name,
  version,
  status,
  synthetic,
  task: z.strictObject({
    kind: z.literal('segment'),
    structures: z.array(Structure).min(1),
    exclusive: z.boolean().describe('Softmax over background and the structures; else a sigmoid each.'),
  }),
  preprocess: VolumeSpec,
  preprocess_code_version,
  input: z.strictObject({
    name: z.string().describe('ONNX input name.'),
    patch_size: triple.describe(
      '[z, y, x] of a window; input is [batch, channels, z, y, x], its batch dynamic.',
    ),
    dtype: VolumeSpec.shape.dtype,
  }),
  output: z.strictObject({ name: z.string(), activation: z.enum(['sigmoid', 'softmax']) }),
  networks: z
    .array(
      z.strictObject({
        file: z.string(),
        normalization: InputNormalization.describe("What the graph's first node does."),
        run: z.string(),
        step: z.int(),
        split_id: sha256,
      }),
    )
    .min(1)
    .describe('Several are an ensemble: their probabilities are averaged.'),
  overlap: z.number().min(0).max(0.9).describe('Of neighbouring windows, as a share of their side.'),
  inference: MaskInference,
  fingerprint: VolumeFingerprint.nullable(),
  files,
  provenance,
})
export type SegmentPackage = z.infer<typeof SegmentPackage>

export type AnyPackage = ModelPackage | SegmentPackage

/** `golden/golden.json` of such a package: phantom volumes with what must become of them. */
export const GoldenVolumes = z.strictObject({
  inputs: z.array(
    z.strictObject({
      file: z.string().describe('Relative to golden/.'),
      channel_files: z
        .array(z.string())
        .exactOptional()
        .describe('Files of the further channels, where each is one.'),
      tensor_sha256: sha256.describe('Of the stored tensor [C, Z, Y, X], little-endian.'),
      probabilities: z
        .string()
        .describe('safetensors file relative to golden/, `probabilities` float32 [K, Z, Y, X].'),
      mask: z.string().describe('NIfTI or PNG file relative to golden/, on the grid of the input.'),
    }),
  ),
})
export type GoldenVolumes = z.infer<typeof GoldenVolumes>
