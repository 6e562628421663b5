import type { FastifyReply } from 'fastify'
import type { PredictResult } from '../schema/results.ts'

/** What a caller may ask for to get a mask itself. */
export const MASK_TYPES = ['application/gzip', 'application/x-gzip', 'application/octet-stream']

/** The Accept header asks for the mask as a file, not for JSON. */
export function wantsMaskFile(accept: string | undefined): boolean {
  const types = (accept ?? '').split(',').map((one) => one.split(';')[0]!.trim().toLowerCase())
  return types.some((type) => MASK_TYPES.includes(type)) && !types.includes('application/json')
}

/** One mask as the body, and what JSON would say of it in headers. */
export function sendMaskFile(
  reply: FastifyReply,
  { mask, mask_base64, input_sha256, volumes_ml, warnings }: PredictResult['predictions'][number],
  digest: string,
): FastifyReply {
  return reply
    .headers({
      'content-disposition': `attachment; filename="${mask!.replace(/[^\w.-]/g, '_')}"`,
      'x-package-digest': digest,
      'x-input-sha256': input_sha256,
      'x-volumes-ml': asciiJson(volumes_ml),
      'x-warnings': asciiJson(warnings),
    })
    .type('application/gzip')
    .send(Buffer.from(mask_base64!, 'base64'))
}

/** Headers carry ASCII only. */
const asciiJson = (value: unknown) =>
  JSON.stringify(value).replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
