import { z } from 'zod'
import { PredictResult } from '../schema/results.ts'
import { ServedModel, ServedModels, ServeError, ServeHealth } from '../schema/serving.ts'
import type { Limits } from './http_error.ts'

/** The OpenAPI 3.1 description of the server; its schemas are those that `--json` results follow. */
export function openapi(
  models: readonly ServedModel[],
  version: string,
  limits: { images: Limits; volumes: Limits },
): object {
  const names = models.map(({ name }) => name)
  const predictOperation = (summary: string) => ({
    summary,
    description: [
      ...(models.some(isOfImages) ? [aboutImages(limits.images)] : []),
      ...(models.every(isOfImages) ? [] : [aboutVolumes(limits.volumes)]),
      ...(models.some(({ task }) => task === 'segment') ? [ABOUT_MASKS] : []),
    ]
      .concat('Files that cannot be read are listed under `failed`; 422 when none could be.')
      .concat('Research use, not a diagnosis.')
      .join(' '),
    parameters: [VIEWS],
    requestBody: {
      required: true,
      content: Object.fromEntries([
        [
          'multipart/form-data',
          {
            schema: {
              type: 'object',
              properties: { file: { type: 'array', items: { type: 'string', format: 'binary' } } },
            },
          },
        ],
        ...BODY_TYPES.map((type) => [type, BINARY]),
      ]),
    },
    responses: {
      200: {
        description: 'Scores or masks, decisions and warnings, in the order of the files',
        headers: MASK_HEADERS,
        content: {
          'application/json': { schema: { $ref: '#/components/schemas/PredictResult' } },
          'application/gzip': BINARY,
          'image/png': BINARY,
          'application/dicom': BINARY,
        },
      },
      400: json('No file in the request, or several models named', 'ServeError'),
      404: json('No such model; those served are listed', 'ServeError'),
      406: json(
        'One file asked for, and several masks; DICOM of what is no DICOM series; NIfTI of a 2D image, or PNG of a volume',
        'ServeError',
      ),
      408: json('The upload stalled, or took too long to arrive', 'ServeError'),
      413: json('Too large, or too many files', 'ServeError'),
      415: json('Another kind of body', 'ServeError'),
      422: json('None of the files could be used; `failed` says why', 'PredictResult'),
      503: json('Busy or stopping; try again after Retry-After seconds', 'ServeError'),
    },
  })
  const named = { schema: { type: 'string', enum: names } }
  const name = { ...named, name: 'name', in: 'path', required: true }
  const model = { ...named, name: 'model', in: 'query', description: `${names[0]} unless given.` }
  return {
    openapi: '3.1.0',
    info: {
      title: 'fiducial',
      version,
      description:
        'Scores images and volumes, and segments volumes, with certified model packages. Research use, not a diagnosis.',
    },
    paths: {
      '/v1/predict': {
        parameters: [model],
        post: predictOperation('Score or segment with one of the models'),
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
        post: predictOperation('Score or segment with the model named'),
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

function aboutImages({ maxFiles, maxBodyBytes }: Limits): string {
  return `A model of images takes one as the body, or up to ${maxFiles} as file parts of a form; at most ${maxBodyBytes} bytes.`
}

function aboutVolumes({ maxFiles, maxBodyBytes }: Limits): string {
  return (
    'A model of volumes takes a NIfTI file (.nii, .nii.gz), or a zip archive of the DICOM files of a series or of the ' +
    `NIfTI files of a case's channels (…_0000.nii.gz, …_0001.nii.gz), as the body or up to ${maxFiles} as file parts ` +
    `of a form; at most ${maxBodyBytes} bytes. A model that segments and whose \`input.distance_unit\` is \`px\` takes 2D ` +
    'images instead, and gives their masks as PNG, with `Accept: image/png` as the body.'
  )
}

const ABOUT_MASKS =
  'Of a model that segments each prediction carries its mask on the grid of its own files, as .nii.gz in ' +
  '`mask_base64`, and of a DICOM series as a DICOM Segmentation in `mask_dicom_base64`. With ' +
  '`Accept: application/gzip` or `application/dicom` the mask of a single case is the body itself.'

const isOfImages = ({ input }: ServedModel) => 'size' in input && input.size.length === 2

const BODY_TYPES = ['image/*', 'application/octet-stream', 'application/gzip', 'application/zip']
const BINARY = { schema: { type: 'string', format: 'binary' } }
const VIEWS = {
  name: 'views',
  in: 'query',
  schema: { type: 'boolean' },
  description: 'Of a model that segments: also draw three slices through each mask, or the image, as PNG.',
}
const text = (description: string) => ({ description, schema: { type: 'string' } })
const MASK_HEADERS = {
  'x-package-digest': text('Beside a mask as the body: `package_digest`'),
  'x-input-sha256': text('Beside a mask as the body: `input_sha256`'),
  'x-volumes-ml': text('Beside a mask as the body: `volumes_ml`, as JSON'),
  'x-areas-px': text('Of a 2D image instead: `areas_px`, as JSON'),
  'x-warnings': text('Beside a mask as the body: `warnings`, as JSON'),
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
