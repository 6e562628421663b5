import type { Raster } from './raster.ts'

/**
 * Grey of an RGB image: ITU-R 601 luma in 16-bit fixed point, equal to Pillow's `convert('L')` for 8 bits and the same
 * formula for 16. Grey passes through.
 *
 * @see ITU-R BT.601-7, 2.5.1: 0.299 R + 0.587 G + 0.114 B; the weights below are those times 65536
 */
export function luma(raster: Raster): Raster {
  if (raster.channels === 1) return raster
  const { data, height, width } = raster
  const length = height * width
  const grey = data instanceof Uint16Array ? new Uint16Array(length) : new Uint8Array(length)
  for (let i = 0, at = 0; i < length; i++, at += 3)
    // At most 65535 · 65536 + 32768 < 2^32: the unsigned shift is exact.
    grey[i] = (data[at]! * 19595 + data[at + 1]! * 38470 + data[at + 2]! * 7471 + 0x8000) >>> 16
  return { data: grey, height, width, channels: 1 }
}
