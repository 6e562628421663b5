import { z } from 'zod'
import { CertifiedVolume } from './certified_volume.ts'
import { OperatingPoint } from './evaluation.ts'
import { InputNormalization, PreprocessSpec } from './preprocess.ts'
import { Provenance } from './run.ts'
import { Fingerprint, sha256 } from './shard_set.ts'

export const Calibration = z.discriminatedUnion('kind', [z.strictObject({ kind: z.literal('none') })])

/** `model.json` of a package: everything serving needs besides the network. */
export const ModelPackage = z.strictObject({
  format: z.literal(1),
  name: z.string(),
  version: z.string().describe('Of the package: the run folder name, or what --package-version says.'),
  status: z.enum(['draft', 'approved', 'retired']),
  synthetic: z.boolean().describe('Trained on phantom data: not for any use on patients.'),
  task: z.strictObject({ kind: z.literal('classify'), labels: z.array(z.string()), exclusive: z.boolean() }),
  preprocess: PreprocessSpec,
  preprocess_code_version: z.int(),
  input: z.strictObject({
    name: z.string().describe('ONNX input name.'),
    shape: z
      .union([z.tuple([z.int(), z.int(), z.int()]), z.tuple([z.int(), z.int(), z.int(), z.int()])])
      .describe('[C, H, W], or [C, Z, Y, X] of volumes; the batch comes first and is dynamic.'),
    dtype: z
      .enum(['uint8', 'int16', 'float16', 'float32'])
      .describe(
        "The stored type. Of images float32 is only for others' models: stored values are then normalised before the network.",
      ),
    normalization: InputNormalization.nullable().describe(
      "What the graph's first node does where it reads the stored type, else what is done before it.",
    ),
  }),
  output: z.strictObject({ name: z.string(), activation: z.enum(['sigmoid', 'softmax', 'none']) }),
  calibration: Calibration,
  operating_points: z.record(z.string(), OperatingPoint),
  fingerprint: Fingerprint.nullable(),
  files: z
    .record(z.string(), sha256)
    .describe('Every other file of the package that scoring depends on → sha256.'),
  provenance: Provenance.extend({
    recipe: z.json(),
    recipe_hash: sha256.nullable(),
    set_id: sha256.nullable(),
    split_id: sha256.nullable(),
    run: z.string().nullable(),
    step: z.int().nullable(),
    weights_sha256: sha256
      .nullable()
      .describe('Of the file that training started from; null where it started at random, or is not known.'),
    seed: z.int().nullable(),
  }),
})
export type ModelPackage = z.infer<typeof ModelPackage>

export const CertificateCheck = z.strictObject({
  name: z.string(),
  passed: z.boolean(),
  value: z.union([z.number(), z.string()]),
  limit: z.union([z.number(), z.string()]),
})
/** `certificate.json`: proof that the package computes what was trained. */
export const Certificate = z.strictObject({
  format: z.literal(1),
  passed: z.boolean(),
  certified_sha256: sha256.describe(
    'Of model.json without `status`, as compact JSON: editing anything else voids the certificate.',
  ),
  checks: z.array(CertificateCheck),
  tolerance: z.number(),
  reference: z.string().describe('What the package was compared with.'),
  validation: z
    .array(z.strictObject({ file_sha256: sha256, scores: z.record(z.string(), z.number()) }))
    .describe(
      'Hashes and scores of the real cases checked; never their pixels or names. The hash of a case of several files is that of their hashes, a line each.',
    ),
  volumes: z
    .array(CertifiedVolume)
    .optional()
    .describe('Of a package that segments: hashes and measures of the real cases checked.'),
  created: z.string(),
})
export type Certificate = z.infer<typeof Certificate>

/** `golden/golden.json`: synthetic inputs with expected tensors and outputs. */
export const Golden = z.strictObject({
  inputs: z.array(
    z.strictObject({
      file: z.string().describe('Relative to golden/.'),
      tensor_sha256: sha256.describe('Of the stored tensor, little-endian.'),
      tolerance: z.int().min(0).describe('Stored units that decoders may differ by: 0 for lossless formats.'),
      tensor: z
        .string()
        .describe('safetensors file relative to golden/, tensor `image` [1, C, H, W] or [1, C, Z, Y, X].'),
      logits: z.array(z.number()),
      scores: z.record(z.string(), z.number()),
    }),
  ),
})
export type Golden = z.infer<typeof Golden>
