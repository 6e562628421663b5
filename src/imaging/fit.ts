/** Where an image lands: it is resized to `height`×`width`; of that, the part at (top, left) that the target holds. */
export interface Placement {
  /** The whole image after resizing. */
  height: number
  width: number
  /** First row and column of the resized image in the target: negative when it is cropped, positive when padded. */
  top: number
  left: number
}

/**
 * How an image of `source` [y, x] fills a `target` [y, x].
 *
 * squash: resized to the target, aspect ratio ignored.
 * pad: the largest size that fits inside; its other side is rounded to the nearest pixel, halves up, at least 1; the
 *   space is shared evenly, an odd pixel going to the bottom or right.
 * crop: the smallest size that covers the target; its other side is rounded down, at least the target; the excess is
 *   cut evenly, the offset rounded to the nearest, halves to even. For a square target this is torchvision's
 *   Resize(n) and CenterCrop(n).
 */
export function fit(
  source: readonly [number, number],
  target: readonly [number, number],
  kind: 'squash' | 'pad' | 'crop',
): Placement {
  const [sourceY, sourceX] = source
  const [targetY, targetX] = target
  if (kind === 'squash') return { height: targetY, width: targetX, top: 0, left: 0 }
  // Cross products are exact integers: no ratio is rounded before the comparison.
  const isWider = sourceX * targetY > targetX * sourceY
  if (kind === 'pad') {
    const height = isWider ? atLeastOne(roundedQuotient(sourceY * targetX, sourceX)) : targetY
    const width = isWider ? targetX : atLeastOne(roundedQuotient(sourceX * targetY, sourceY))
    return {
      height,
      width,
      top: Math.floor((targetY - height) / 2),
      left: Math.floor((targetX - width) / 2),
    }
  }
  const height = isWider ? targetY : Math.max(targetY, Math.floor((sourceY * targetX) / sourceX))
  const width = isWider ? Math.max(targetX, Math.floor((sourceX * targetY) / sourceY)) : targetX
  return { height, width, top: 0 - halfToEven(height - targetY), left: 0 - halfToEven(width - targetX) }
}

const roundedQuotient = (a: number, b: number) => Math.floor((2 * a + b) / (2 * b))
const atLeastOne = (n: number) => Math.max(1, n)

/** n / 2 rounded to the nearest integer, halves to even. */
function halfToEven(n: number): number {
  const floor = Math.floor(n / 2)
  return n % 2 === 0 || floor % 2 === 0 ? floor : floor + 1
}
