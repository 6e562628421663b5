import { z } from 'zod'
import { ModelPackage } from './model_package.ts'

/** One entry of `GET /v1/models`: what a caller needs to read a model's answers. No training data, no paths. */
export const ServedModel = z.strictObject({
  name: z.string().describe('POST /v1/predict?model=<name>, or /v1/models/<name>/predict.'),
  version: z.string(),
  status: ModelPackage.shape.status,
  default: z.boolean().describe('Answers POST /v1/predict where the request names no model.'),
  package_digest: z.string().describe('As in every result.'),
  certified: z.boolean(),
  synthetic: z.boolean().describe('Trained on phantom data: not for any use on patients.'),
  labels: z.array(z.string()),
  exclusive: z.boolean().describe('Exactly one label holds; the decision is the highest score.'),
  operating_points: z
    .record(z.string(), z.number())
    .describe('Label → threshold; positive when score >= it.'),
  input: z.strictObject({
    size: z.tuple([z.int(), z.int()]).describe('[rows, columns] that images are resized to.'),
    channels: z.int(),
    formats: z.array(z.string()),
  }),
  warnings: z.array(z.string()).describe('Hold for every result of this model.'),
})
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
