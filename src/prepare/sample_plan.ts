import { join } from 'node:path'
import { checkMaskGrid } from '../imaging/mask_grid.ts'
import { refuseMixedDepths, sampleBits } from '../imaging/raster_volume.ts'
import { readVolume, type VolumeHeader } from '../imaging/read_volume.ts'
import { resolveSpec } from '../imaging/resolve_spec.ts'
import { medianShape, resolveVolumeSpec, type VolumeSample } from '../imaging/resolve_volume_spec.ts'
import { UserError } from '../schema/errors.ts'
import type { ImageSpec, PreprocessSpec } from '../schema/preprocess.ts'
import type { ImagePrepare, VolumePrepare } from '../schema/recipe.ts'
import { readCaseMask } from '../sources/case_mask.ts'
import { withoutIdentifiers } from '../sources/deidentify.ts'
import { seriesGrid } from '../sources/series_headers.ts'
import { readHeaderOf } from '../sources/volume_header.ts'
import { readBytes, stampFile } from '../storage/local.ts'
import { BRICK } from './bricks.ts'
import type { PrepareRequest } from './request.ts'
import type { SampledPlan } from './staged_shards.ts'

/** Files looked at to resolve `auto` in the recipe. */
const SAMPLE_SIZE = 64
/** Volumes of which the voxels are read too (of 16-bit images all), where the recipe leaves their intensity open. */
const VOXEL_SAMPLE = 8
/** Values taken within the mask of one of them. */
const FOREGROUND_SAMPLE = 5000

/**
 * What a set is made with: the recipe's preprocess spec, `auto` resolved over an even sample of the cases, and how large
 * a case will be.
 *
 * @param known the spec of an earlier set that is updated: it is kept
 * @throws {UserError} if nothing of the sample can be read, or it does not go together
 */
export async function samplePlan(
  request: PrepareRequest,
  known: PreprocessSpec | null = null,
): Promise<SampledPlan> {
  const { prepare } = request
  if (prepare.kind === 'volume') return volumePlan(request, prepare, known)
  const preprocess = known?.kind === 'image' ? known : await imageSpec(request, prepare)
  return { preprocess, case_bytes: bytesPerSample(preprocess), ...maskPlan(request), reasons: [] }
}

/** What a plan says beside pixels: values that masks may hold (null without masks), and what may be told of files. */
export function maskPlan({
  source,
  deidentified,
  prepare,
}: Pick<PrepareRequest, 'source' | 'deidentified' | 'prepare'>): Pick<
  SampledPlan,
  'mask_values' | 'mask_labels' | 'brick' | 'deidentified'
> {
  return {
    mask_values: source.volumes ? [...source.volumes.maskValues.keys()] : null,
    mask_labels: source.volumes?.maskNames ? { ...source.volumes.maskNames } : null,
    brick: prepare.kind === 'volume' && prepare.compression === 'deflate' ? BRICK : null,
    deidentified,
  }
}

export function bytesPerSample({ channels, size, dtype }: ImageSpec): number {
  return channels * size[0] * size[1] * (dtype === 'int16' ? 2 : 1)
}

async function imageSpec(request: PrepareRequest, prepare: ImagePrepare): Promise<ImageSpec> {
  async function* sample() {
    for (const one of evenly(request.cases, SAMPLE_SIZE)) {
      try {
        yield await readBytes(join(request.root, one.images[0]!))
      } catch (error) {
        if (!(error instanceof UserError)) throw error // a missing file is quarantined when its turn comes
      }
    }
  }
  return resolveSpec(prepare, sample())
}

async function volumePlan(
  request: PrepareRequest,
  prepare: VolumePrepare,
  known: PreprocessSpec | null,
): Promise<SampledPlan> {
  const isOpen = known === null && [prepare.intensity].flat().some((one) => one === 'auto')
  const chosen = evenly(request.cases, SAMPLE_SIZE)
  const read = new Set(isOpen ? evenly(chosen, VOXEL_SAMPLE) : [])
  const planned = request.source.volumes?.planned
  const sample: VolumeSample[] = planned?.map((one) => ({ ...one, voxels: [] })) ?? []
  let failure: UserError | null = null
  for (const one of planned === undefined ? chosen : []) {
    try {
      const looked = await sampleOf(one, request, { isOpen, isChosen: read.has(one) })
      sample.push({ case_id: one.case_id, ...looked })
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      failure = error
    }
  }
  if (sample.length === 0)
    throw new UserError(
      failure === null
        ? 'There is no volume to look at.\n  do: check data.root and data.source.'
        : `None of the sampled volumes can be read. The last: ${request.deidentified ? withoutIdentifiers(failure.message, [request.root]) : failure.message}`,
      failure === null ? {} : { cause: failure },
    )
  const modalities = request.source.volumes?.modalities ?? null
  const { spec, caseBytes, reasons } = resolveVolumeSpec(prepare, sample, modalities)
  if (request.needsSize && spec.size === null)
    throw new UserError(
      `prepare.size is missing: classification takes volumes of one size.\n` +
        `  do: write size: [${medianShape(sample, spec).join(', ')}], the median of ${sample.length} cases as stored [z, y, x]; larger volumes are cut about their middle, smaller ones padded.`,
    )
  return {
    preprocess: known?.kind === 'volume' ? known : spec,
    case_bytes: caseBytes,
    ...maskPlan(request),
    reasons,
  }
}

async function sampleOf(
  one: PrepareRequest['cases'][number],
  { root, source }: Pick<PrepareRequest, 'root' | 'source'>,
  { isOpen, isChosen }: { isOpen: boolean; isChosen: boolean },
): Promise<VolumeSample> {
  if (!isChosen) {
    const series = await seriesGrid(one.images.map((path) => join(root, path)))
    if (series !== null) return { grid: series, channels: 1, voxels: [] }
    const headers = []
    for (const path of one.images) headers.push(await headerOf(join(root, path)))
    const grid = headers[0]!
    const channels = headers.reduce((sum, { channels }) => sum + channels, 0)
    refuseMixedDepths(headers.map(({ bits }) => bits))
    // Of 16-bit images the largest value is looked for, and the cost is that of images.
    if (!isOpen || grid.bits !== 16) return { grid, channels, ...bitsOf(grid), voxels: [] }
  }
  const { volume } = await readVolume(
    await Promise.all(one.images.map((path) => readBytes(join(root, path)))),
  )
  const paths = one.images.map((path) => join(root, path))
  const mask =
    one.mask === undefined || volume.distance_unit === 'px'
      ? null
      : await readCaseMask(paths, join(root, one.mask), source.volumes?.maskNames ?? null)
  // Taken voxel by voxel below, so the two must be stored alike.
  const isAlike = mask !== null && checkMaskGrid(mask, volume) === null
  const size = volume.data.length / volume.channels
  const drawn = isAlike ? indicesAbove0(mask.data, FOREGROUND_SAMPLE) : []
  return {
    grid: volume,
    channels: volume.channels,
    ...(volume.distance_unit === 'px' && { bits: sampleBits(volume) }),
    voxels: Array.from({ length: volume.channels }, (_, c) => {
      const values = volume.data.subarray(c * size, (c + 1) * size)
      let zeros = 0
      let most = 0
      for (let i = 0; i < size; i++) {
        if (values[i] === 0) zeros++
        if (values[i]! > most) most = values[i]!
      }
      return { zero_share: zeros / size, most, foreground: Float32Array.from(drawn, (i) => values[i]!) }
    }),
  }
}

const bitsOf = ({ bits }: { bits?: 8 | 16 }) => (bits === undefined ? {} : { bits })

/** @throws {UserError} also for a header that no bytes could fill: it would be planned for, and nothing then fits */
async function headerOf(path: string): Promise<VolumeHeader> {
  const header = await readHeaderOf(path)
  if (header.distance_unit === 'px') return header
  const voxels = header.channels * header.shape.reduce((product, side) => product * side, 1)
  const { size } = (await stampFile(path)) ?? { size: 0 }
  if (voxels > MOST_INFLATED * size)
    throw new UserError(`The header speaks of ${voxels} voxels; the file has ${size} bytes.`)
  return header
}

/** Bytes that deflate makes of one at most. */
const MOST_INFLATED = 1032

/** Positions of values above 0, evenly thinned to about `most`. */
function indicesAbove0(values: ArrayLike<number>, most: number): number[] {
  const found: number[] = []
  for (let i = 0; i < values.length; i++) if (values[i]! > 0) found.push(i)
  return evenly(found, most)
}

/** At most `most` of the items, evenly spread. */
function evenly<T>(items: readonly T[], most: number): T[] {
  const step = Math.max(1, items.length / most)
  const chosen: T[] = []
  for (let at = 0; at < items.length; at += step) chosen.push(items[Math.floor(at)]!)
  return chosen
}
