import { UserError } from '../schema/errors.ts'
import type { Intensity, VolumeSpec } from '../schema/preprocess.ts'
import type { VolumePrepare } from '../schema/recipe.ts'
import { voxelSizes } from './geometry/affine.ts'
import { type Grid, planGrid } from './geometry/grid.ts'
import { orientedGrid } from './geometry/orientation.ts'
import { percentile } from './percentile.ts'
import { isHuge } from './preprocess_volume.ts'
import type { Triple, Volume } from './volume.ts'

/** What of a sample of cases decides a spec. */
export interface VolumeSample {
  case_id?: string
  grid: Grid & Pick<Volume, 'distance_unit'>
  channels: number
  /** Of a raster image's samples. */
  bits?: 8 | 16
  /** Per channel, from the cases whose voxels were read; empty for the others. */
  voxels: {
    /** Share of voxels that are exactly 0. */
    zero_share: number
    /** Largest value. */
    most: number
    /** Values within the mask, at most a few thousand; empty without a mask. */
    foreground: Float32Array
  }[]
}

export interface ResolvedVolumeSpec {
  spec: VolumeSpec
  /** Bytes of a stored case, the mean of the sample. */
  caseBytes: number
  /** What `auto` became and why, a line each. */
  reasons: string[]
}

/**
 * The complete preprocess spec of a recipe of volumes, `auto` filled in from a sample of the cases.
 *
 * @param modalities as the data set names them, one a channel; null where it does not
 * @throws {UserError} if the cases differ in their channels or depth, or the recipe lists other channels than they have
 */
export function resolveVolumeSpec(
  prepare: VolumePrepare,
  sample: readonly VolumeSample[],
  modalities: readonly string[] | null,
): ResolvedVolumeSpec {
  const channels = channelsOf(sample, modalities)
  const unit = unitOfSample(sample)
  const depth = depthOfSample(sample)
  const reasons: string[] = []
  const spacing = spacingOf(prepare, sample, reasons)
  const intensity = intensitiesOf(prepare, sample, channels, modalities, reasons)
  const isWindowed = intensity.every(({ kind }) => kind === 'window')
  const dtype = prepare.dtype === 'auto' ? autoType(isWindowed, sample) : prepare.dtype
  if (!isWindowed && (dtype === 'uint8' || dtype === 'int16'))
    throw new UserError(
      `prepare.dtype is ${dtype}, which stores 0..1; only a window gives that, and prepare.intensity is ${intensity.map(({ kind }) => kind).join(', ')}.\n` +
        '  do: write dtype: float16, or give every channel a window.',
    )
  const spec: VolumeSpec = {
    kind: 'volume',
    channels,
    orientation: prepare.orientation,
    spacing_mm: spacing,
    resample: prepare.resample,
    crop: prepare.crop,
    size: prepare.size,
    intensity,
    dtype,
    ...unit,
    ...depth,
  }
  return { spec, caseBytes: meanBytes(spec, sample), reasons }
}

/** [z, y, x] that volumes of the sample have in the median once they are turned and resampled. */
export function medianShape(
  sample: readonly Pick<VolumeSample, 'grid'>[],
  spec: Pick<VolumeSpec, 'orientation' | 'spacing_mm'>,
): Triple {
  const shapes = sample.map(({ grid }) => planGrid(grid, spec).shape)
  const median = (k: number) =>
    Math.round(
      percentile(
        Float64Array.from(shapes, (shape) => shape[k]!),
        50,
      ),
    )
  return [median(0), median(1), median(2)]
}

/** @throws {UserError} for 2D images and volumes in one data set */
function unitOfSample(sample: readonly VolumeSample[]): Pick<VolumeSpec, 'distance_unit'> {
  const flat = sample.filter(({ grid }) => grid.distance_unit === 'px').length
  if (flat === 0) return {}
  if (flat === sample.length) return { distance_unit: 'px' }
  throw new UserError(
    `Of ${sample.length} sampled cases ${flat} are 2D images (PNG, JPEG, TIFF, WebP) and the others volumes${minority(sample, (one) => (one.grid.distance_unit === 'px' ? '2D images' : 'volumes'))}; a network takes one of the two.\n` +
      '  do: make two data sets of them.',
  )
}

/** @throws {UserError} for 2D images of 8 and of 16 bits in one data set: the same grey has two values */
function depthOfSample(sample: readonly VolumeSample[]): Pick<VolumeSpec, 'bits'> {
  const known = sample.flatMap(({ bits }) => bits ?? [])
  if (known.length < sample.length) return {}
  const deep = known.filter((bits) => bits === 16).length
  if (deep === 0) return { bits: 8 }
  if (deep === known.length) return { bits: 16 }
  throw new UserError(
    `Of ${known.length} sampled images ${deep} ${deep === 1 ? 'has' : 'have'} 16 bits a sample and the others 8; a network takes one of the two.\n` +
      '  do: export all from their source in one depth; of two scanners, make two data sets.',
  )
}

/** The cases of the smallest of several kinds, the first few by name: mostly those that are at fault. */
function minority(sample: readonly VolumeSample[], kindOf: (one: VolumeSample) => string): string {
  const groups = [...Map.groupBy(sample, kindOf)].sort(([, a], [, b]) => a.length - b.length)
  const [kind, members] = groups[0]!
  const ids = members.flatMap((one) => one.case_id ?? [])
  if (ids.length === 0) return ''
  const more = ids.length > 3 ? ` and ${ids.length - 3} more` : ''
  return ` (${kind}: ${ids.slice(0, 3).join(', ')}${more})`
}

/** 8 bits of a window hold all that 8-bit images have. */
function autoType(isWindowed: boolean, sample: readonly VolumeSample[]): VolumeSpec['dtype'] {
  if (!isWindowed) return 'float16'
  return sample.every(({ bits }) => bits === 8) ? 'uint8' : 'int16'
}

function channelsOf(sample: readonly VolumeSample[], modalities: readonly string[] | null): number {
  const found = [...new Set(sample.map((one) => one.channels))]
  // A case that lacks a modality is named and left out when its turn comes.
  if (modalities !== null && found.includes(modalities.length)) return modalities.length
  const few = minority(sample, (one) => `${one.channels} ${one.channels === 1 ? 'channel' : 'channels'}`)
  if (found.length > 1)
    throw new UserError(
      unitOfSample(sample).distance_unit === 'px'
        ? `Some of the sampled images have ${found.sort((a, b) => a - b).join(', some ')} channels${few}; a network takes one number of them.\n` +
            '  do: convert all to grey, or all to RGB.'
        : `The sampled volumes have ${found.sort((a, b) => a - b).join(', ')} channels${few}; a network takes one number of them.\n` +
            '  do: leave the cases without all modalities out.',
    )
  if (modalities !== null && modalities.length !== found[0])
    throw new UserError(
      `dataset.json names ${modalities.length} modalities (${modalities.join(', ')}); the volumes have ${found[0]} channels.\n` +
        '  do: correct the one that is wrong.',
    )
  return found[0]!
}

function spacingOf(
  prepare: VolumePrepare,
  sample: readonly VolumeSample[],
  reasons: string[],
): VolumeSpec['spacing_mm'] {
  if (prepare.spacing_mm === 'source') return null
  if (prepare.spacing_mm !== 'auto') return prepare.spacing_mm
  if (unitOfSample(sample).distance_unit === 'px') {
    reasons.push('prepare.spacing_mm: [1, 1, 1], every pixel as it is: these images have no mm')
    return [1, 1, 1]
  }
  const spacings = sample.map(({ grid }) => voxelSizes(orientedGrid(grid, prepare.orientation).affine))
  // Micrometres are enough, and hide what float32 headers add.
  const median = [0, 1, 2].map((k) =>
    rounded(
      percentile(
        Float64Array.from(spacings, (one) => one[k]!),
        50,
      ),
    ),
  )
  reasons.push(`prepare.spacing_mm: [${median.join(', ')}], the median of ${sample.length} cases`)
  return median as unknown as [number, number, number]
}

const rounded = (mm: number) => Math.max(0.001, Math.round(mm * 1000) / 1000)

function intensitiesOf(
  prepare: VolumePrepare,
  sample: readonly VolumeSample[],
  channels: number,
  modalities: readonly string[] | null,
  reasons: string[],
): Intensity[] {
  const { intensity } = prepare
  if (intensity === 'auto' && unitOfSample(sample).distance_unit === 'px')
    return Array<Intensity>(channels).fill(rasterWindow(sample, reasons))
  if (Array.isArray(intensity) && intensity.length !== channels)
    throw new UserError(
      `prepare.intensity lists ${intensity.length} channels; the volumes have ${channels}.\n  do: give one a channel, or one for all.`,
    )
  return Array.from({ length: channels }, (_, c): Intensity => {
    const asked = Array.isArray(intensity) ? intensity[c]! : intensity
    if (asked === 'auto') return autoIntensity(sample, c, modalities?.[c] ?? null, reasons)
    if (typeof asked !== 'string') return asked
    return asked === 'percentile' ? { kind: 'percentile', low: 0.5, high: 99.5 } : { kind: asked }
  })
}

/** As of images that are classified: 8 bits as they are, more to the next 2^n - 1 over the sample. */
function rasterWindow(sample: readonly VolumeSample[], reasons: string[]): Intensity {
  const isByte = sample.every(({ bits }) => bits === 8)
  const most = Math.max(0, ...sample.flatMap(({ voxels }) => voxels.map((one) => one.most)))
  const high = isByte ? 255 : 2 ** Math.max(8, Math.ceil(Math.log2(most + 1))) - 1
  reasons.push(
    isByte
      ? 'prepare.intensity: window 0 to 255, the range of 8-bit images'
      : `prepare.intensity: window 0 to ${high}, as the 16-bit images reach ${most}`,
  )
  return { kind: 'window', low: 0, high }
}

/** From this share of exact zeros on, the margin was blanked: a skull-stripped brain, a cropped organ. */
const BLANKED = 0.25

/** As nnU-Net decides (Isensee et al., Nature Methods 18, 2021). */
function autoIntensity(
  sample: readonly VolumeSample[],
  channel: number,
  modality: string | null,
  reasons: string[],
): Intensity {
  const read = sample.flatMap(({ voxels }) => voxels[channel] ?? [])
  const name = `prepare.intensity of channel ${channel}${modality === null ? '' : ` (${modality})`}`
  const foreground = read.flatMap((one) => [...one.foreground])
  if (modality !== null && /^ct$/i.test(modality.trim()) && foreground.length > 0) {
    const values = Float64Array.from(foreground)
    const [low, high] = [percentile(values, 0.5), percentile(values, 99.5)]
    if (high > low) {
      reasons.push(
        `${name}: window ${low} to ${high}, the 0.5 and 99.5 percentiles within the masks of ${read.length} cases`,
      )
      return { kind: 'window', low, high }
    }
  }
  const zeros =
    read.length === 0
      ? 0
      : percentile(
          Float64Array.from(read, (one) => one.zero_share),
          50,
        )
  const kind = zeros > BLANKED ? 'nonzero_zscore' : 'zscore'
  reasons.push(`${name}: ${kind}, as ${Math.round(zeros * 100)} % of the voxels are exactly 0`)
  return { kind }
}

const BYTES = { uint8: 1, int16: 2, float16: 2, float32: 4 }

/** Of image and mask; a crop to the foreground makes it less. */
function meanBytes(spec: VolumeSpec, sample: readonly VolumeSample[]): number {
  const bytes = sample.flatMap(({ grid }) => {
    const planned = planGrid(grid, spec)
    // It will be quarantined, and must not count as what a case takes.
    if (isHuge(grid, planned, spec.channels)) return []
    const shape: Triple = spec.size ?? planned.shape
    return shape[0] * shape[1] * shape[2] * (spec.channels * BYTES[spec.dtype] + 1)
  })
  return Math.ceil(bytes.reduce((sum, one) => sum + one, 0) / Math.max(1, bytes.length))
}
