import type { ImageSpec } from '../schema/preprocess.ts'
import { ImageError } from './image_error.ts'
import { macenko } from './macenko.ts'
import type { Raster } from './raster.ts'
import { reinhard } from './reinhard.ts'

/**
 * Stain normalisation of an 8-bit RGB tile. A tile without enough stain to measure, such as one of bare glass, is
 * returned as it is, with a note: stretching its noise to the target would invent tissue.
 *
 * @throws {ImageError} if the file is grey or has more than 8 bits
 */
export function applyStain(raster: Raster, stain: ImageSpec['stain']): { raster: Raster; notes: string[] } {
  if (stain === null) return { raster, notes: [] }
  if (raster.channels !== 3)
    throw new ImageError(
      'Stain normalisation needs colour, but the file is grey.',
      'leave the case out, or set prepare.stain to none.',
    )
  if (raster.data instanceof Uint16Array)
    throw new ImageError('Stain normalisation works on 8-bit values.', 'set prepare.dtype to uint8.')
  const data = stain.kind === 'reinhard' ? reinhard(raster.data, stain) : macenko(raster.data, stain)
  if (data === null)
    return { raster, notes: ['There is too little stain to measure: the colours were left as they are.'] }
  return { raster: { ...raster, data }, notes: [] }
}
