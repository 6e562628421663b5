import { join, resolve } from 'node:path'
import { encodePng } from '#raster'
import { voxelSizes } from '../imaging/geometry/affine.ts'
import { reorient } from '../imaging/geometry/orientation.ts'
import { preprocess } from '../imaging/preprocess.ts'
import { readVolume } from '../imaging/read_volume.ts'
import { resolveSpec } from '../imaging/resolve_spec.ts'
import type { Volume } from '../imaging/volume.ts'
import { type Overlay, overlay } from '../report/overlay.ts'
import type { Case } from '../schema/case.ts'
import { UserError } from '../schema/errors.ts'
import { ImagePrepare } from '../schema/recipe.ts'
import type { InspectResult } from '../schema/results.ts'
import type { Structure } from '../schema/task.ts'
import { maskNames, readCaseMask } from '../sources/case_mask.ts'
import { readBytes, writeAtomic } from '../storage/local.ts'
import { coloursOf, largestSlice, middleSlice, planeOf, sliceAxis, sliceOf } from './volume_slice.ts'

const COLUMNS = 8
const SIDE = 128
const GAP = 4
/** Between the images, and in place of one that cannot be read. */
const BACKGROUND = 40

/** A drawing of a case [3, SIDE, SIDE], in the row of a label; null where its files cannot be read. */
export type Tile = (one: Case, label: string | null) => Promise<ArrayLike<number> | null>

/**
 * A PNG with a row of images for each label, and one for cases without any; drawn evenly over the cases.
 *
 * @param tileOf draws one, given the cases that are shown
 * @returns the file and which cases stand where
 */
export async function writeContactSheet(
  file: string,
  cases: readonly Case[],
  labels: readonly string[],
  tileOf: (shown: readonly Case[]) => Promise<Tile>,
): Promise<NonNullable<InspectResult['contact_sheet']>> {
  const rows = [
    ...labels.map((label) => ({ label, cases: evenly(cases.filter((one) => one.labels[label] === 1)) })),
    {
      label: null,
      cases: evenly(cases.filter((one) => labels.every((label) => one.labels[label] !== 1))),
    },
  ].filter((row) => row.cases.length > 0)
  const tile = await tileOf(rows.flatMap((row) => row.cases))

  const pitch = SIDE + GAP
  const width = COLUMNS * pitch + GAP
  const height = rows.length * pitch + GAP
  const data = new Uint8Array(width * height * 3).fill(BACKGROUND)
  for (const [r, row] of rows.entries()) {
    for (const [c, one] of row.cases.entries()) {
      const tensor = await tile(one, row.label)
      if (tensor) draw(tensor, data, { top: GAP + r * pitch, left: GAP + c * pitch, width })
    }
  }
  const path = resolve(file)
  await writeAtomic(path, await encodePng({ data, height, width, channels: 3 }))
  return {
    file: path,
    rows: rows.map(({ label, cases: shown }) => ({
      label: label ?? 'none',
      case_ids: shown.map((one) => one.case_id),
    })),
  }
}

/** Images as they are, padded to squares. */
export async function imageTiles(root: string, shown: readonly Case[]): Promise<Tile> {
  const load = async (one: Case) => {
    try {
      return await readBytes(join(root, one.images[0]!))
    } catch (error) {
      return onlyUserErrors(error)
    }
  }
  async function* sample() {
    for (const one of shown) {
      const bytes = await load(one)
      if (bytes !== null) yield bytes
    }
  }
  const config = ImagePrepare.parse({
    size: SIDE,
    channels: 3,
    fit: 'pad',
    dtype: 'uint8',
    pad_value: BACKGROUND,
  })
  const spec = await resolveSpec(config, sample())
  return async (one) => {
    const bytes = await load(one)
    const tensor = bytes === null ? null : await preprocess(bytes, spec).catch(onlyUserErrors)
    return tensor?.data ?? null
  }
}

/**
 * Of volumes the slice with the largest area of the label, seen as radiologists see it, its first channel, the mask
 * outlined; of a case without any label, or without a mask, the middle one.
 */
export function volumeTiles(root: string, structures: readonly Structure[]): Tile {
  const structureOf = new Map(structures.map(({ name, values }) => [name, new Set(values)]))
  return async (one, label) => {
    try {
      const paths = one.images.map((path) => join(root, path))
      const { volume } = await readVolume(await Promise.all(paths.map(readBytes)))
      if (one.mask === undefined) return squared(middleSlice(volume, SIDE))
      const isFlat = volume.distance_unit === 'px'
      const turned = (of: Volume) => (isFlat ? of : reorient(of, 'LPS'))
      const image = turned(volume)
      const mask = turned(await readCaseMask(paths, join(root, one.mask), maskNames(structures)))
      const axis = sliceAxis(image.shape, voxelSizes(image.affine))
      const values = label === null ? null : structureOf.get(label)!
      const index = largestSlice([mask], axis, (value) => values?.has(value) ?? true)
      const outline = sliceOf(mask, axis, index)
      const drawn = overlay(
        {
          ...planeOf(image, axis),
          reference: outline,
          prediction: new Uint8Array(outline.length),
          image: sliceOf(image, axis, index),
          ...(image.channels === 3 && isFlat && { colours: coloursOf(image) }),
        },
        SIDE,
      )
      return squared(drawn)
    } catch (error) {
      return onlyUserErrors(error)
    }
  }
}

/** A drawing no larger than a tile, [3, SIDE, SIDE], in its middle. */
function squared({ data, height, width }: Overlay): Uint8Array {
  const out = new Uint8Array(3 * SIDE * SIDE).fill(BACKGROUND)
  const [top, left] = [Math.floor((SIDE - height) / 2), Math.floor((SIDE - width) / 2)]
  for (let c = 0; c < 3; c++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        out[(c * SIDE + top + y) * SIDE + left + x] = data[(y * width + x) * 3 + c]!
  return out
}

/** Copies a [3, SIDE, SIDE] tensor into an interleaved RGB image. */
function draw(
  from: ArrayLike<number>,
  to: Uint8Array,
  { top, left, width }: { top: number; left: number; width: number },
): void {
  for (let c = 0; c < 3; c++)
    for (let y = 0; y < SIDE; y++)
      for (let x = 0; x < SIDE; x++)
        to[((top + y) * width + left + x) * 3 + c] = from[(c * SIDE + y) * SIDE + x]!
}

function evenly(cases: readonly Case[]): Case[] {
  if (cases.length <= COLUMNS) return [...cases]
  return Array.from({ length: COLUMNS }, (_, i) => cases[Math.floor((i * cases.length) / COLUMNS)]!)
}

function onlyUserErrors(error: unknown): null {
  if (error instanceof UserError) return null
  throw error
}
