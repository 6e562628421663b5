import { join } from 'node:path'
import { determinant, voxelSizes } from '../imaging/geometry/affine.ts'
import { axcodes, orientedGrid } from '../imaging/geometry/orientation.ts'
import { checkMaskGrid } from '../imaging/mask_grid.ts'
import type { VolumeHeader } from '../imaging/read_volume.ts'
import type { Triple } from '../imaging/volume.ts'
import type { Case } from '../schema/case.ts'
import { StoppedError, UserError } from '../schema/errors.ts'
import type { Structure } from '../schema/task.ts'
import { stampFile } from '../storage/local.ts'
import { readCaseMask } from './case_mask.ts'
import { seriesGrid } from './series_headers.ts'
import { count, firstFew, type VolumeFacts } from './source_data.ts'
import { readHeaderOf } from './volume_header.ts'

/** Lowest, middle and highest along each axis, after turning to RAS: [z, y, x]. */
export interface TripleRange {
  min: Triple
  median: Triple
  max: Triple
}

/** What headers and masks of a data set of volumes say. */
export interface VolumesLook {
  /** Volumes whose header was read. */
  sampled: number
  channels: number
  /** One a channel; null where nothing names them. */
  modalities: string[] | null
  /** 'RAS' → volumes stored so. */
  orientations: Record<string, number>
  shape: TripleRange
  spacing_mm: TripleRange
  /** Structure → its volume in the cases that have it, of the masks that were read; null where none has. */
  volume_ml: Record<string, { min: number; median: number; max: number } | null>
  /** Of 2D images without a place in a patient: lengths are pixels, and thousands of them stand for ml. */
  distance_unit?: 'px'
}

/** Masks are read up to so many bytes as stored: seconds, not hours. */
const MOST_MASK_BYTES = 300e6

/**
 * Reads the header of every volume. Where there are structures it also reads masks, `MOST_MASK_BYTES` in all at most; whether a
 * case has a structure stays unknown where its mask was not.
 *
 * @param facts of a data set that says something about its channels and masks
 * @returns null when not one header can be read
 * @throws {StoppedError} when aborted
 */
export async function lookAtVolumes(
  root: string,
  cases: readonly Case[],
  structures: readonly Structure[],
  facts: VolumeFacts | undefined,
  signal?: AbortSignal,
): Promise<{ look: VolumesLook | null; cases: Case[]; warnings: string[] }> {
  const { modalities = null, maskValues = new Map(), maskNames } = facts ?? {}
  const seen: Seen[] = []
  const failures: string[] = []
  const alarms: string[] = []
  const millilitres = new Map(structures.map(({ name }) => [name, [] as number[]]))
  const labelled: Case[] = []
  let bytes = 0
  let unread = 0
  for (const one of cases) {
    if (signal?.aborted) throw new StoppedError('Stopped. Nothing was written.')
    labelled.push(one)
    try {
      const grid = await headerOf(one, root)
      seen.push(grid)
      const size = one.mask === undefined ? 0 : ((await stampFile(join(root, one.mask)))?.size ?? 0)
      if (structures.length === 0) continue
      if (one.mask === undefined || bytes + size > MOST_MASK_BYTES) {
        unread++
        continue
      }
      bytes += size
      const paths = one.images.map((path) => join(root, path))
      const mask = await readCaseMask(paths, join(root, one.mask), maskNames ?? null)
      const note = checkMaskGrid(mask, grid)
      if (note !== null) alarms.push(`${one.case_id}: ${note}`)
      const counts = countValues(mask.data)
      const unknown = [...counts.keys()].filter((value) => !maskValues.has(value))
      if (unknown.length > 0)
        alarms.push(`${one.case_id}: the mask holds ${unknown.join(', ')}, which nothing names`)
      const voxel = Math.abs(determinant(mask.affine)) / 1000
      const labels: Case['labels'] = {}
      for (const { name, values } of structures) {
        const voxels = values.reduce((sum, value) => sum + (counts.get(value) ?? 0), 0)
        labels[name] = voxels > 0 ? 1 : 0
        if (voxels > 0) millilitres.get(name)!.push(Number((voxels * voxel).toPrecision(6)))
      }
      labelled[labelled.length - 1] = { ...one, labels }
    } catch (cause) {
      if (!(cause instanceof UserError)) throw cause
      failures.push(`${one.case_id}: ${cause.message.replaceAll('\n', ' ')}`)
    }
  }
  const warnings = [
    ...(failures.length > 0
      ? [`${count(failures.length, 'case')} cannot be used: ${firstFew(failures, 3)}`]
      : []),
    ...(alarms.length > 0 ? [firstFew(alarms, 3)] : []),
    ...(unread > 0 ? [`${count(unread, 'mask')} not read, for time: what they hold counts as unknown.`] : []),
  ]
  if (seen.length === 0) return { look: null, cases: labelled, warnings }
  const channels = Math.max(...seen.map((one) => one.channels))
  if (modalities !== null && seen.some((one) => one.channels !== modalities.length))
    warnings.push(
      `dataset.json names the channels ${modalities.join(', ')}; the volumes have ${[...new Set(seen.map((one) => one.channels))].join(', ')} of them.`,
    )
  const look: VolumesLook = {
    sampled: seen.length,
    channels,
    modalities,
    orientations: tally(seen.map(({ affine }) => axcodes(affine))),
    shape: wholeNumbers(rangeOf(seen.map((one) => orientedGrid(one, 'RAS').shape))),
    spacing_mm: rangeOf(
      seen.map((one) => voxelSizes(orientedGrid(one, 'RAS').affine).map(rounded) as unknown as Triple),
    ),
    volume_ml: Object.fromEntries([...millilitres].map(([name, values]) => [name, span(values)])),
    ...(seen.every((one) => one.distance_unit === 'px') && { distance_unit: 'px' }),
  }
  return { look, cases: labelled, warnings }
}

type Seen = VolumeHeader

async function headerOf({ images }: Case, root: string): Promise<Seen> {
  const series = await seriesGrid(images.map((path) => join(root, path)))
  if (series !== null) return { ...series, channels: 1 }
  const headers = []
  for (const path of images) headers.push(await readHeaderOf(join(root, path)))
  return { ...headers[0]!, channels: headers.reduce((sum, { channels }) => sum + channels, 0) }
}

function countValues(data: ArrayLike<number>): Map<number, number> {
  const small = new Float64Array(256)
  const others = new Map<number, number>()
  for (let i = 0; i < data.length; i++) {
    const value = data[i]!
    if (value >= 0 && value < 256 && Number.isInteger(value)) small[value]!++
    else others.set(value, (others.get(value) ?? 0) + 1)
  }
  for (const [value, n] of small.entries()) if (n > 0) others.set(value, n)
  return others
}

const rounded = (mm: number) => Math.round(mm * 1000) / 1000

function tally(items: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const item of items) counts[item] = (counts[item] ?? 0) + 1
  return Object.fromEntries(Object.entries(counts).sort(([, a], [, b]) => b - a))
}

function rangeOf(triples: readonly Triple[]): TripleRange {
  const along = (pick: 'min' | 'median' | 'max') =>
    [0, 1, 2].map((k) => span(triples.map((one) => one[k]!))![pick]) as unknown as Triple
  return { min: along('min'), median: along('median'), max: along('max') }
}

/** Voxels: between two cases there is no half of one. */
const wholeNumbers = ({ min, median, max }: TripleRange): TripleRange => ({
  min,
  median: median.map(Math.round) as unknown as Triple,
  max,
})

function span(values: readonly number[]): { min: number; median: number; max: number } | null {
  if (values.length === 0) return null
  const sorted = [...values].sort((a, b) => a - b)
  const half = sorted.length >> 1
  const median = sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2
  return { min: sorted[0]!, median: Number(median.toPrecision(6)), max: sorted.at(-1)! }
}
