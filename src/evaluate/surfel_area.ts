type Triple = readonly [number, number, number]

/**
 * A representative of each way that 8 neighbouring voxels can be inside or outside, but for turning, mirroring and
 * swapping inside with outside, and the surface that marching cubes puts between them: per surface element the absolute
 * components [z, y, x] of its normal, whose length is its area, in eighths of a voxel's face.
 *
 * The numbers are those of the lookup table of DeepMind's surface-distance (Apache-2.0), which has these symmetries.
 */
const SURFACES: readonly [corners: number, surfels: string][] = [
  [0b00000001, '111'],
  [0b00000011, '220 220'],
  [0b00000110, '111 111'],
  [0b00011000, '111 111'],
  [0b00000111, '222 400 111'],
  [0b00011001, '022 022 111'],
  [0b00010110, '111 111 111'],
  [0b00001111, '400 400'],
  [0b00010111, '111 111 222 222'],
  [0b00011011, '022 111 202 333'],
  [0b00011110, '111 111 222 400'],
  [0b00111100, '220 220 220 220'],
  [0b01101001, '111 111 111 111'],
]

/**
 * Area of the surface within the cell between 8 neighbouring voxels, for each of the 256 ways that they can be inside
 * (bit set) or outside. Bit 7 is the voxel at the lower z, y and x, bit 6 its neighbour in x, bit 5 in y, bit 3 in z.
 *
 * @param spacing_mm [z, y, x]
 * @returns mm², by code; 0 for codes 0 and 255
 */
export function surfelAreas(spacing_mm: Triple): Float64Array {
  const [sz, sy, sx] = spacing_mm
  const faces = [(sy * sx) / 8, (sz * sx) / 8, (sz * sy) / 8] as const
  const areas = new Float64Array(256)
  for (const [corners, surfels] of SURFACES)
    for (const axes of AXIS_ORDERS) {
      const area = surfels
        .split(' ')
        .reduce(
          (sum, normal) => sum + Math.hypot(...axes.map((axis, i) => Number(normal[axis]) * faces[i]!)),
          0,
        )
      for (let flips = 0; flips < 8; flips++) {
        const code = moved(corners, axes, flips)
        areas[code] = area
        areas[255 - code] = area
      }
    }
  return areas
}

/**
 * Length of the contour within the cell between 4 neighbouring pixels. Bit 3 is the pixel at the lower y and x, bit 2
 * its neighbour in x, bit 1 in y.
 *
 * @param spacing_mm [y, x]
 * @returns mm, by code; 0 for codes 0 and 15
 */
export function contourLengths([sy, sx]: readonly [number, number]): Float64Array {
  const diagonal = Math.hypot(sy, sx) / 2
  const lengths = new Float64Array(16).fill(diagonal)
  lengths[0b0000] = lengths[0b1111] = 0
  lengths[0b0011] = lengths[0b1100] = sx
  lengths[0b0101] = lengths[0b1010] = sy
  lengths[0b0110] = lengths[0b1001] = 2 * diagonal
  return lengths
}

const AXIS_ORDERS: readonly Triple[] = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
]

/** The code of a cell whose axis i is axis `axes[i]` of the given one, mirrored along the axes whose bit is set in `flips`. */
function moved(corners: number, axes: Triple, flips: number): number {
  let code = 0
  for (let bit = 0; bit < 8; bit++) {
    if ((corners & (1 << bit)) === 0) continue
    // Bits 2, 1 and 0 of a corner's number say whether it lies at the lower z, y and x.
    const isLower = [bit & 4, bit & 2, bit & 1]
    let to = flips
    if (isLower[axes[0]]) to ^= 4
    if (isLower[axes[1]]) to ^= 2
    if (isLower[axes[2]]) to ^= 1
    code |= 1 << to
  }
  return code
}
