import type { Grid } from '../geometry/grid.ts'
import { ImageError } from '../image_error.ts'
import type { Volume } from '../volume.ts'

/** A mask that a file of another kind than a volume holds, on the grid of a series. */
export interface DrawnMask {
  volume: Volume & { data: Uint8Array }
  structures: DrawnStructure[]
  /** Where two structures claim the same voxels: those went to the one of the higher value. */
  overlaps: { lost_by: string; won_by: string; voxels: number }[]
  /** For a person: overlaps, and what was left out. */
  notes: string[]
}

export interface DrawnStructure {
  name: string
  /** In the mask. */
  value: number
  /** Drawn, whether or not another structure took them. */
  voxels: number
}

/** Name of a structure → its value in the mask, 1 to 255; what is not named is left out. */
export type MaskValues = Readonly<Record<string, number>>

/** Gathers structures into one mask. They have to be painted in the order of their values. */
export class MaskPainter {
  readonly #grid: Grid
  readonly #data: Uint8Array
  readonly #structures: DrawnStructure[] = []
  readonly #overlaps = new Map<number, number>()

  /** @throws {ImageError} if the grid is too large */
  constructor(grid: Grid) {
    const numVoxels = grid.shape[0] * grid.shape[1] * grid.shape[2]
    if (numVoxels > MAX_VOXELS)
      throw new ImageError(
        `The series has ${grid.shape.join('×')} voxels, more than the limit of 2^29 for masks.`,
        'split the series, or resample it first.',
      )
    this.#grid = grid
    this.#data = new Uint8Array(numVoxels)
  }

  /** The structure that `paint` paints from now on. */
  begin(name: string, value: number): DrawnStructure {
    const structure = { name, value, voxels: 0 }
    this.#structures.push(structure)
    return structure
  }

  /** @param at index of a voxel; each at most once a structure */
  paint(structure: DrawnStructure, at: number): void {
    const { value } = structure
    const before = this.#data[at]!
    structure.voxels++
    if (before === value) return
    if (before !== 0) {
      const pair = before * 256 + value
      this.#overlaps.set(pair, (this.#overlaps.get(pair) ?? 0) + 1)
    }
    this.#data[at] = value
  }

  mask(notes: readonly string[]): DrawnMask {
    const nameOf = (value: number) =>
      this.#structures
        .filter((one) => one.value === value)
        .map(({ name }) => name)
        .join(', ')
    const overlaps = [...this.#overlaps].map(([pair, voxels]) => ({
      lost_by: nameOf(pair >> 8),
      won_by: nameOf(pair & 255),
      voxels,
    }))
    return {
      volume: { data: this.#data, channels: 1, shape: this.#grid.shape, affine: this.#grid.affine },
      structures: this.#structures,
      overlaps,
      notes: [
        ...notes,
        ...overlaps.map(
          ({ lost_by, won_by, voxels }) =>
            `"${won_by}" lies over "${lost_by}" in ${voxels} voxel${voxels === 1 ? '' : 's'}, which went to "${won_by}".`,
        ),
      ],
    }
  }
}

/** 2,000 slices of 512². */
const MAX_VOXELS = 2 ** 29

/**
 * The structures of a file that are asked for, with their values, in the order of these.
 *
 * @param values all structures, numbered as `numberOf` says, unless given
 * @throws {ImageError} if one is asked for that the file does not hold, or a number does not fit into a mask
 */
export function chosenStructures<T extends { name: string }>(
  found: readonly T[],
  values: MaskValues | undefined,
  numberOf: (structure: T, index: number) => number,
): (T & { value: number })[] {
  const names = [...new Set(found.map(({ name }) => name))]
  const missing = Object.keys(values ?? {}).filter((name) => !names.includes(name))
  if (missing.length > 0)
    throw new ImageError(
      `The file has no structure ${missing.map((name) => JSON.stringify(name)).join(', ')}; it has ${listed(names)}.`,
      'name structures as the file does.',
    )
  const chosen = found
    .map((structure, i) => ({
      ...structure,
      value: values === undefined ? numberOf(structure, i) : (values[structure.name] ?? 0),
    }))
    .filter(({ name }) => values === undefined || Object.hasOwn(values, name))
  const bad = chosen.find(({ value }) => !(Number.isInteger(value) && value >= 1 && value <= 255))
  if (bad !== undefined)
    throw new ImageError(
      `Structure ${JSON.stringify(bad.name.slice(0, 64))} would have the value ${bad.value} in the mask, outside 1 to 255.`,
      'name the structures that are wanted, each with a value from 1 to 255.',
    )
  return chosen.sort((a, b) => a.value - b.value)
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 20).map((name) => JSON.stringify(name.slice(0, 64)))
  return shown.join(', ') + (names.length > shown.length ? ` and ${names.length - shown.length} more` : '')
}
