/** Corners of a closed contour in a slice, in index units: y and x of each in turn. The last joins the first. */
export type Contour = Float64Array

/**
 * Visits the voxels of a slice whose centres lie inside an odd number of contours: a contour within another is a hole,
 * and the two passes of a keyhole's channel cancel. Of centres on an edge, those on a left or upper one are inside.
 * What lies outside of the slice is clipped.
 */
export function fillEvenOdd(
  contours: readonly Contour[],
  height: number,
  width: number,
  visit: (y: number, x: number) => void,
): void {
  const [top, left, bottom, right] = box(contours, height, width)
  if (top > bottom || left > right) return
  const columns = right - left + 1
  // Where the parity changes, row by row: a crossing changes it from its pixel to the right end.
  const changes = new Uint8Array((bottom - top + 1) * columns)
  for (const contour of contours)
    for (let i = 0, j = contour.length - 2; i < contour.length; j = i, i += 2) {
      // Always downwards, so that an edge passed twice crosses each row at one and the same place.
      const [a, b] = contour[i]! < contour[j]! ? [i, j] : [j, i]
      const [y0, x0, y1, x1] = [contour[a]!, contour[a + 1]!, contour[b]!, contour[b + 1]!]
      const slope = (x1 - x0) / (y1 - y0)
      const last = Math.min(bottom, Math.ceil(y1) - 1)
      for (let y = Math.max(top, Math.ceil(y0)); y <= last; y++) {
        const x = Math.max(left, Math.ceil(x0 + (y - y0) * slope))
        if (x <= right) changes[(y - top) * columns + x - left]! ^= 1
      }
    }
  for (let y = top, at = 0; y <= bottom; y++)
    for (let x = left, isInside = 0; x <= right; x++, at++) {
      isInside ^= changes[at]!
      if (isInside === 1) visit(y, x)
    }
}

/** Rows and columns that contours reach, within the slice. */
function box(
  contours: readonly Contour[],
  height: number,
  width: number,
): [top: number, left: number, bottom: number, right: number] {
  let [top, left, bottom, right] = [height, width, -1, -1]
  for (const contour of contours)
    for (let i = 0; i < contour.length; i += 2) {
      top = Math.min(top, Math.ceil(contour[i]!))
      bottom = Math.max(bottom, Math.floor(contour[i]!))
      left = Math.min(left, Math.ceil(contour[i + 1]!))
      right = Math.max(right, Math.floor(contour[i + 1]!))
    }
  return [Math.max(0, top), Math.max(0, left), Math.min(height - 1, bottom), Math.min(width - 1, right)]
}
