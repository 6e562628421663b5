import type { Planes } from './raster.ts'

/**
 * Planes set into a larger frame at (top, left), the rest filled.
 *
 * @param size [y, x] of the frame
 * @param fill n of 0..255: the value n/255 of the stored range
 */
export function pad(
  planes: Planes,
  size: readonly [number, number],
  { top, left }: { top: number; left: number },
  fill: number,
): Planes {
  const { data, channels, height, width } = planes
  const [frameHeight, frameWidth] = size
  if (height === frameHeight && width === frameWidth) return planes
  const is16 = data instanceof Uint16Array
  const length = channels * frameHeight * frameWidth
  const out = is16 ? new Uint16Array(length).fill(fill * 257) : new Uint8Array(length).fill(fill)
  for (let c = 0; c < channels; c++)
    for (let y = 0; y < height; y++) {
      const from = (c * height + y) * width
      out.set(data.subarray(from, from + width), (c * frameHeight + top + y) * frameWidth + left)
    }
  return { data: out, channels, height: frameHeight, width: frameWidth }
}
