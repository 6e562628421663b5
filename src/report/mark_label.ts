/** Pixels of the plot. */
type Point = readonly [number, number]

export interface LabelPlace {
  x: number
  /** Of the words' baseline. */
  y: number
  anchor: 'start' | 'end'
}

const CHARACTER_WIDTH = 6.3
const ASCENT = 11
const DESCENT = 3

/**
 * Where a mark's words stand beside its ring: of the places within the plot the one that the fewest points of the
 * curves lie under; of equal ones that which is named first, towards the inside.
 *
 * @param curves densely drawn polylines in pixels
 */
export function placeMarkLabel(
  [cx, cy]: Point,
  text: string,
  curves: readonly (readonly Point[])[],
  plot: { left: number; right: number; top: number; bottom: number },
): LabelPlace {
  const width = text.length * CHARACTER_WIDTH
  const isRight = cx > plot.left + 0.6 * (plot.right - plot.left)
  const sides = isRight ? (['end', 'start'] as const) : (['start', 'end'] as const)
  const rows = [4, 18, -10, 34, -26, 50, -42]
  const places = rows.flatMap((dy) =>
    sides.map((anchor): LabelPlace => ({ x: cx + (anchor === 'end' ? -10 : 10), y: cy + dy, anchor })),
  )
  const left = ({ x, anchor }: LabelPlace) => (anchor === 'end' ? x - width : x)
  const isWithin = (place: LabelPlace) =>
    left(place) >= plot.left &&
    left(place) + width <= plot.right &&
    place.y - ASCENT >= plot.top &&
    place.y + DESCENT <= plot.bottom
  const covered = (place: LabelPlace) =>
    curves.flat().filter(([x, y]) => {
      const from = left(place)
      return x >= from && x <= from + width && y >= place.y - ASCENT && y <= place.y + DESCENT
    }).length
  const possible = places.filter(isWithin)
  return (possible.length > 0 ? possible : places.slice(0, 1)).reduce((best, place) =>
    covered(place) < covered(best) ? place : best,
  )
}

/** A polyline with a point at least every other pixel, so that none slips between two. */
export function dense(points: readonly Point[]): Point[] {
  return points.flatMap((point, i) => {
    const before = points[i - 1]
    if (before === undefined) return [point]
    const [dx, dy] = [point[0] - before[0], point[1] - before[1]]
    const parts = Math.max(1, Math.ceil(Math.hypot(dx, dy) / 2))
    return Array.from({ length: parts }, (_, k): Point => {
      const share = (k + 1) / parts
      return [before[0] + share * dx, before[1] + share * dy]
    })
  })
}
