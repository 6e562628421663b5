import { z } from 'zod'
import { PredictResult } from '../schema/results.ts'
import { ServedModel, ServedModels, ServeError, ServeHealth } from '../schema/serving.ts'
import type { Limits } from './http_error.ts'

/** The OpenAPI 3.1 description of the server; its schemas are those that `--json` results follow. */
export function openapi(models: readonly string[], version: string, limits: Limits): object {
  const predictOperation = (summary: string) => ({
    summary,
    description:
      `One image as the body, or up to ${limits.maxFiles} as file parts of a form; at most ${limits.maxBodyBytes} ` +
      'bytes. Files that cannot be scored are listed under `failed`; 422 when none could be. Research use, not a ' +
      'diagnosis.',
    requestBody: {
      required: true,
      content: {
        'multipart/form-data': {
          schema: {
            type: 'object',
            properties: { file: { type: 'array', items: { type: 'string', format: 'binary' } } },
          },
        },
        'image/*': { schema: { type: 'string', format: 'binary' } },
        'application/octet-stream': { schema: { type: 'string', format: 'binary' } },
      },
    },
    responses: {
      200: json('Scores, decisions and warnings, in the order of the files', 'PredictResult'),
      400: json('No image in the request, or several models named', 'ServeError'),
      404: json('No such model; those served are listed', 'ServeError'),
      408: json('The upload stalled, or took too long to arrive', 'ServeError'),
      413: json('Too large, or too many files', 'ServeError'),
      415: json('Another kind of body', 'ServeError'),
      422: json('None of the files could be scored; `failed` says why', 'PredictResult'),
      503: json('Busy or stopping; try again after Retry-After seconds', 'ServeError'),
    },
  })
  const named = { schema: { type: 'string', enum: models } }
  const name = { ...named, name: 'name', in: 'path', required: true }
  const model = { ...named, name: 'model', in: 'query', description: `${models[0]} unless given.` }
  return {
    openapi: '3.1.0',
    info: {
      title: 'fiducial',
      version,
      description: 'Scores medical images with certified model packages. Research use, not a diagnosis.',
    },
    paths: {
      '/v1/predict': {
        parameters: [model],
        post: predictOperation('Score images with one of the models'),
      },
      '/v1/models': {
        get: { summary: 'The models served', responses: { 200: json('Models', 'ServedModels') } },
      },
      '/v1/models/{name}': {
        parameters: [name],
        get: {
          summary: 'One model',
          responses: { 200: json('The model', 'ServedModel'), 404: json('No such model', 'ServeError') },
        },
      },
      '/v1/models/{name}/predict': {
        parameters: [name],
        post: predictOperation('Score images with the model named'),
      },
      '/healthz': { get: { summary: 'The process lives', responses: { 200: json('Alive', 'ServeHealth') } } },
      '/readyz': {
        get: {
          summary: 'Requests are welcome',
          responses: { 200: json('Ready', 'ServeHealth'), 503: json('Stopping', 'ServeHealth') },
        },
      },
    },
    components: {
      schemas: {
        PredictResult: schemaOf(PredictResult),
        ServedModel: schemaOf(ServedModel),
        ServedModels: schemaOf(ServedModels),
        ServeError: schemaOf(ServeError),
        ServeHealth: schemaOf(ServeHealth),
      },
    },
  }
}

function json(description: string, schema: string): object {
  return {
    description,
    content: { 'application/json': { schema: { $ref: `#/components/schemas/${schema}` } } },
  }
}

function schemaOf(schema: z.ZodType): object {
  // OpenAPI 3.1 speaks JSON Schema 2020-12; the dialect is the document's, not repeated in each part.
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { target: 'draft-2020-12' })
  return rest
}
