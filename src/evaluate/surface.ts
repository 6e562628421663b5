type Triple = readonly [number, number, number]

/** A part of a volume: from `low` to `high`, both inside. [z, y, x] */
export interface Box {
  low: Triple
  high: Triple
}

/** Where a structure's surface passes, in rising order of cells. */
export interface Surface {
  /** Index into the grid of cells, x fastest. */
  cells: Int32Array
  /** Which neighbours of the cell are inside: an index into `surfelAreas`, in one slice into `contourLengths`. */
  codes: Uint8Array
}

/**
 * The cells of a box that a structure's surface passes through: those with voxels both inside and outside. A cell lies
 * between 8 neighbouring voxels, in a volume of one slice between 4. What is outside the box counts as not in the
 * structure, so a structure that the image cuts off has a surface there.
 *
 * @param codes [Z, Y, X], x fastest
 * @param isMember 1 for the codes of the structure's voxels
 * @param isFlat the volume has one slice only: its structures have contours, no top and bottom
 */
export function surfaceOf(
  codes: Uint8Array,
  shape: Triple,
  isMember: Uint8Array,
  box: Box,
  isFlat: boolean,
): Surface {
  const [Z, Y, X] = size(box)
  const width = X + 2
  const plane = (Y + 2) * width
  const inside = padded(codes, shape, isMember, box)
  const found = new Found()
  const planes = isFlat ? 1 : Z + 1
  let cell = 0
  for (let z = 0; z < planes; z++)
    for (let y = 0; y <= Y; y++) {
      let at = (isFlat ? 1 : z) * plane + y * width
      let before = 0
      for (let x = -1; x <= X; x++, at++) {
        // The cell's 4 voxels at this x; those at the x before are the same, one bit higher.
        const here = isFlat
          ? (inside[at]! << 2) | inside[at + width]!
          : (inside[at]! << 6) |
            (inside[at + width]! << 4) |
            (inside[at + plane]! << 2) |
            inside[at + plane + width]!
        if (x >= 0) {
          const code = (before << 1) | here
          if (code !== 0 && code !== (isFlat ? 15 : 255)) found.add(cell, code)
          cell++
        }
        before = here
      }
    }
  return found.surface()
}

/** Shape of the grid of cells of a box: one more than voxels along each axis. */
export function cellGrid(box: Box, isFlat: boolean): Triple {
  const [Z, Y, X] = size(box)
  return [isFlat ? 1 : Z + 1, Y + 1, X + 1]
}

function size({ low, high }: Box): Triple {
  return [high[0] - low[0] + 1, high[1] - low[1] + 1, high[2] - low[2] + 1]
}

/** The structure in its box, 1 inside and 0 outside, with a margin of one voxel all round. */
function padded(codes: Uint8Array, shape: Triple, isMember: Uint8Array, box: Box): Uint8Array {
  const [Z, Y, X] = size(box)
  const inside = new Uint8Array((Z + 2) * (Y + 2) * (X + 2))
  for (let z = 0; z < Z; z++)
    for (let y = 0; y < Y; y++) {
      let from = ((box.low[0] + z) * shape[1] + box.low[1] + y) * shape[2] + box.low[2]
      let to = ((z + 1) * (Y + 2) + y + 1) * (X + 2) + 1
      for (const end = from + X; from < end; from++, to++) inside[to] = isMember[codes[from]!]!
    }
  return inside
}

/** A list that grows. */
class Found {
  #cells = new Int32Array(1024)
  #codes = new Uint8Array(1024)
  #length = 0

  add(cell: number, code: number): void {
    if (this.#length === this.#cells.length) {
      const cells = new Int32Array(2 * this.#length)
      const codes = new Uint8Array(2 * this.#length)
      cells.set(this.#cells)
      codes.set(this.#codes)
      this.#cells = cells
      this.#codes = codes
    }
    this.#cells[this.#length] = cell
    this.#codes[this.#length++] = code
  }

  surface(): Surface {
    return { cells: this.#cells.slice(0, this.#length), codes: this.#codes.slice(0, this.#length) }
  }
}
