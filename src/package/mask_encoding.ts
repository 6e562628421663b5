import { encodePng } from '#raster'
import { writeNifti } from '../imaging/nifti/write.ts'
import type { Volume } from '../imaging/volume.ts'

/** How masks of a package, or of a run, are written: on 2D images as grey PNG, on volumes as NIfTI. */
export interface MaskEncoding {
  ending: '.png' | '.nii.gz'
  /** Media type. */
  type: string
  encode(mask: Volume): Promise<Uint8Array>
}

const NIFTI: MaskEncoding = {
  ending: '.nii.gz',
  type: 'application/gzip',
  encode: (mask) => writeNifti(mask, { gzip: true }),
}

/** Pixels hold the labels themselves, 0 to 255; the size is that of the image as it is displayed, upright. */
const PNG: MaskEncoding = {
  ending: '.png',
  type: 'image/png',
  encode: ({ data, shape: [, height, width] }) =>
    encodePng({
      data: data instanceof Uint8Array ? data : Uint8Array.from(data),
      height,
      width,
      channels: 1,
    }),
}

export const maskEncoding = ({ distance_unit }: { distance_unit?: 'px' }): MaskEncoding =>
  distance_unit === 'px' ? PNG : NIFTI
