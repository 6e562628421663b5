import { z } from 'zod'
import { ModelPackage } from './model_package.ts'
import { VolumeSpec } from './preprocess.ts'
import { SegmentPackage } from './segment_package.ts'
import { Structure } from './task.ts'

const about = {
  name: z.string().describe('POST /v1/predict?model=<name>, or /v1/models/<name>/predict.'),
  version: z.string(),
  status: ModelPackage.shape.status,
  default: z.boolean().describe('Answers POST /v1/predict where the request names no model.'),
  package_digest: z.string().describe('As in every result.'),
  certified: z.boolean(),
  synthetic: z.boolean().describe('Trained on phantom data: not for any use on patients.'),
  warnings: z.array(z.string()).describe('Hold for every result of this model.'),
}

/** A model that scores images or volumes, as `GET /v1/models` describes it. No training data, no paths. */
export const ServedScoreModel = z.strictObject({
  ...about,
  task: z.literal('classify'),
  labels: z.array(z.string()),
  exclusive: z.boolean().describe('Exactly one label holds; the decision is the highest score.'),
  operating_points: z
    .record(z.string(), z.number())
    .describe('Label → threshold; positive when score >= it.'),
  input: z.union([
    z.strictObject({
      size: z.tuple([z.int(), z.int()]).describe('[rows, columns] that images are resized to.'),
      channels: z.int(),
      formats: z.array(z.string()),
    }),
    z.strictObject({
      size: z
        .tuple([z.int(), z.int(), z.int()])
        .describe('[z, y, x] that volumes are cropped or padded to about their centre, once resampled.'),
      channels: z.int(),
      orientation: VolumeSpec.shape.orientation,
      spacing_mm: VolumeSpec.shape.spacing_mm.describe(
        '[z, y, x] that volumes are resampled to; null keeps their own.',
      ),
      formats: z.array(z.string()),
    }),
  ]),
})
export type ServedScoreModel = z.infer<typeof ServedScoreModel>

/** A model that segments volumes, or 2D images: `input.distance_unit` is then `px`. */
export const ServedVolumeModel = z.strictObject({
  ...about,
  task: z.literal('segment'),
  structures: z.array(
    Structure.extend({ colour: z.string().describe('#rrggbb, of the structure in drawn views.') }),
  ),
  exclusive: z.boolean().describe('A voxel belongs to one structure at most; else they may overlap.'),
  networks: z.int().describe('Several are averaged.'),
  input: z.strictObject({
    channels: z.int(),
    orientation: VolumeSpec.shape.orientation,
    spacing_mm: VolumeSpec.shape.spacing_mm.describe(
      '[z, y, x] that volumes are resampled to; null keeps their own. Masks come back on their own grid.',
    ),
    distance_unit: VolumeSpec.shape.distance_unit,
    patch_size: SegmentPackage.shape.input.shape.patch_size.describe(
      '[z, y, x] voxels that the network sees at once; volumes may have any size.',
    ),
    formats: z.array(z.string()),
  }),
})
export type ServedVolumeModel = z.infer<typeof ServedVolumeModel>

export const ServedModel = z.discriminatedUnion('task', [ServedScoreModel, ServedVolumeModel])
export type ServedModel = z.infer<typeof ServedModel>
export const ServedModels = z.strictObject({ models: z.array(ServedModel), notice: z.string() })
export type ServedModels = z.infer<typeof ServedModels>

/** Body of every answer that is no result. */
export const ServeError = z.strictObject({
  error: z.string().describe('What is wrong and what to do.'),
  code: z.string().describe('Stable, for programs: empty_body, too_large, unsupported_media_type, …'),
  request_id: z.string().describe('As in the header x-request-id and in the server log.'),
})
export type ServeError = z.infer<typeof ServeError>

export const ServeHealth = z.strictObject({ status: z.enum(['ok', 'stopping']) })
