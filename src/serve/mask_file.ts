import type { FastifyReply } from 'fastify'
import type { PredictResult } from '../schema/results.ts'
import { HttpError } from './http_error.ts'

/** Kinds of file that a mask is sent as. */
export type MaskKind = 'nifti' | 'png' | 'dicom'

const KINDS: Readonly<Record<string, MaskKind>> = {
  'application/gzip': 'nifti',
  'application/x-gzip': 'nifti',
  'application/octet-stream': 'nifti',
  'image/png': 'png',
  'application/dicom': 'dicom',
}

/** The first kind of mask file that an Accept header names; null where it names none, or JSON too. */
export function acceptedMask(accept: string | undefined): MaskKind | null {
  const types = (accept ?? '').split(',').map((one) => one.split(';')[0]!.trim().toLowerCase())
  const named = types.find((type) => Object.hasOwn(KINDS, type))
  return named === undefined || types.includes('application/json') ? null : KINDS[named]!
}

/**
 * One mask as the body, and what JSON would say of it in headers.
 *
 * @throws {HttpError} 406 for DICOM of what was no DICOM series, NIfTI of a 2D image or PNG of a volume
 */
export function sendMaskFile(
  reply: FastifyReply,
  kind: MaskKind,
  prediction: PredictResult['predictions'][number],
  digest: string,
): FastifyReply {
  const { input_sha256, volumes_ml, areas_px, warnings } = prediction
  const [name, bytes] =
    kind === 'dicom'
      ? [prediction.mask_dicom, prediction.mask_dicom_base64]
      : [prediction.mask, prediction.mask_base64]
  if (kind !== 'dicom' && (kind === 'png') !== (areas_px !== undefined))
    throw new HttpError(
      406,
      'no_such_mask',
      `Masks of this model are ${kind === 'png' ? 'NIfTI: ask for application/gzip' : 'PNG: ask for image/png'} or application/json.`,
    )
  if (name === undefined || bytes === undefined)
    throw new HttpError(
      406,
      'no_dicom_mask',
      'A DICOM Segmentation has to refer to a DICOM series. Ask for application/gzip or application/json.',
    )
  return reply
    .headers({
      'content-disposition': `attachment; filename="${name.replace(/[^\w.-]/g, '_')}"`,
      'x-package-digest': digest,
      'x-input-sha256': input_sha256,
      ...(volumes_ml ? { 'x-volumes-ml': asciiJson(volumes_ml) } : { 'x-areas-px': asciiJson(areas_px) }),
      'x-warnings': asciiJson(warnings),
    })
    .type({ nifti: 'application/gzip', png: 'image/png', dicom: 'application/dicom' }[kind])
    .send(Buffer.from(bytes, 'base64'))
}

/** Headers carry ASCII only. */
const asciiJson = (value: unknown) =>
  JSON.stringify(value).replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
