import { join, resolve } from 'node:path'
import { encodePng } from '#raster'
import { preprocess } from '../imaging/preprocess.ts'
import { resolveSpec } from '../imaging/resolve_spec.ts'
import type { Case } from '../schema/case.ts'
import { UserError } from '../schema/errors.ts'
import { ImagePrepare } from '../schema/recipe.ts'
import type { InspectResult } from '../schema/results.ts'
import { readBytes, writeAtomic } from '../storage/local.ts'

const COLUMNS = 8
const SIDE = 128
const GAP = 4
/** Between the images, and in place of one that cannot be read. */
const BACKGROUND = 40

/**
 * A PNG with a row of images for each label, and one for cases without any; drawn evenly over the cases.
 *
 * @returns the file and which cases stand where
 */
export async function writeContactSheet(
  file: string,
  root: string,
  cases: readonly Case[],
  labels: readonly string[],
): Promise<NonNullable<InspectResult['contact_sheet']>> {
  const rows = [
    ...labels.map((label) => ({ label, cases: evenly(cases.filter((one) => one.labels[label] === 1)) })),
    {
      label: 'none',
      cases: evenly(cases.filter((one) => labels.every((label) => one.labels[label] !== 1))),
    },
  ].filter((row) => row.cases.length > 0)

  const load = async (one: Case) => {
    try {
      return await readBytes(join(root, one.images[0]!))
    } catch (error) {
      if (error instanceof UserError) return null
      throw error
    }
  }
  async function* sample() {
    for (const one of rows.flatMap((row) => row.cases)) {
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

  const pitch = SIDE + GAP
  const width = COLUMNS * pitch + GAP
  const height = rows.length * pitch + GAP
  const data = new Uint8Array(width * height * 3).fill(BACKGROUND)
  for (const [r, row] of rows.entries()) {
    for (const [c, one] of row.cases.entries()) {
      const bytes = await load(one)
      const tensor = bytes === null ? null : await preprocess(bytes, spec).catch(onlyUserErrors)
      if (tensor) draw(tensor.data, data, { top: GAP + r * pitch, left: GAP + c * pitch, width })
    }
  }
  const path = resolve(file)
  await writeAtomic(path, await encodePng({ data, height, width, channels: 3 }))
  return {
    file: path,
    rows: rows.map(({ label, cases: shown }) => ({ label, case_ids: shown.map((one) => one.case_id) })),
  }
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
