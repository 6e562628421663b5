import { join } from 'node:path'
import { voxelSizes } from '../imaging/geometry/affine.ts'
import { orientedGrid } from '../imaging/geometry/orientation.ts'
import { ImageError } from '../imaging/image_error.ts'
import { preprocessMask, preprocessVolume, type StoredVolume } from '../imaging/preprocess_volume.ts'
import type { StoredVoxels } from '../imaging/store_volume.ts'
import { UserError } from '../schema/errors.ts'
import type { VolumeSpec } from '../schema/preprocess.ts'
import type { VolumeShardCase } from '../schema/shard_set.ts'
import type { ShardReport, StagedSource } from '../schema/staging.ts'
import { withoutIdentifiers } from '../sources/deidentify.ts'
import { seriesHeaders } from '../sources/series_headers.ts'
import { firstFew } from '../sources/source_data.ts'
import { makeFolder, readBytes, sha256, sha256File, stampFile, writeAtomic } from '../storage/local.ts'
import { type Dtype, encodeSafetensors, safetensorsParts, type Tensor } from '../storage/safetensors.ts'
import { deflateBricks } from './bricks.ts'
import { caseSha256 } from './case_sources.ts'
import { foregroundIndex } from './foreground.ts'
import { shardFiles } from './shard_layout.ts'
import type { ShardContext, ShardJob } from './shard_writer.ts'
import { STORED_DTYPES } from './stored_volume.ts'
import { reasonOf, unreadCase } from './unreadable.ts'

/**
 * Makes the shard of one volume. A case that cannot be read is listed with its reason, and there is no shard then. Each
 * file is flushed and renamed into place; the report comes last.
 *
 * @throws {UserError} when the disk is full or the folder cannot be written
 */
export async function writeVolumeShard(
  job: ShardJob,
  context: Omit<ShardContext, 'spec'> & {
    spec: VolumeSpec
    maskValues: readonly number[] | null
    maskLabels: Readonly<Record<string, number>> | null
    /** [z, y, x] of the bricks that voxels are deflated in; null stores them plainly. */
    brick: readonly [number, number, number] | null
  },
): Promise<ShardReport> {
  const folder = join(context.folder, 'set')
  await makeFolder(join(folder, 'shards'))
  await makeFolder(join(context.folder, 'private'), { isPrivate: true })
  const one = job.cases[0]!
  const { source, volume, file, reason } = await read(one, context)
  const files = shardFiles(job.name)
  const empty = { notes: {}, formats: {}, heights: {}, widths: {} }
  const report: ShardReport =
    volume === null
      ? {
          shard: null,
          quarantined: [unreadCase({ case_id: one.case_id, file, reason }, context)],
          ...empty,
        }
      : {
          shard: await writeFiles(
            volume,
            caseSha256(source.files)!,
            one.case_id,
            folder,
            files,
            context.brick,
          ),
          quarantined: [],
          ...empty,
          notes: Object.fromEntries(
            volume.notes.map((note) => [context.deidentified ? withoutIdentifiers(note, []) : note, 1]),
          ),
          formats: { [volume.format]: one.images.length },
          volume: geometryOf(volume, context.spec),
        }
  await writeAtomic(
    join(context.folder, `private/${job.name}.sources.jsonl`),
    `${JSON.stringify(source)}\n`,
    {
      isPrivate: true,
    },
  )
  await writeAtomic(join(folder, files.report), `${JSON.stringify(report)}\n`)
  context.onProgress(1)
  return report
}

/** Collecting garbage takes 50 ms or more: a tenth of a case with fewer than this. */
const MANY_VOXELS = 1e8

interface MaskedVolume extends StoredVolume {
  /** [Z, Y, X]; null without one. */
  mask: Uint8Array | null
}

interface Read {
  source: StagedSource
  volume: MaskedVolume | null
  /** The one that is at fault, and why; of a case that is sound its first. */
  file: string
  reason: string
}

async function read(
  one: ShardJob['cases'][number],
  { root, spec, maskValues, maskLabels }: Parameters<typeof writeVolumeShard>[1],
): Promise<Read> {
  const source: StagedSource = { case_id: one.case_id, files: [] }
  const sound = { source, file: one.images[0]!, reason: '' }
  const load = async (path: string): Promise<Uint8Array> => {
    const file: StagedSource['files'][number] = {
      path,
      stamp: await stampFile(join(root, path)),
      sha256: null,
    }
    source.files.push(file)
    if (file.stamp === null)
      throw new UserError(`There is no file ${path}. Restore it, or take the case out of its list.`)
    const bytes = await readBytes(join(root, path))
    file.sha256 = sha256(bytes)
    return bytes
  }
  try {
    const volume = await preprocessVolume(await loadAll(one.images, load), spec)
    // A CT takes gigabytes: its files and source voxels are let go before the mask's are there.
    if (spec.channels * volume.source.shape.reduce((product, side) => product * side, 1) > MANY_VOXELS)
      globalThis.gc?.()
    if (one.mask === undefined) return { ...sound, volume: { ...volume, mask: null } }
    const bytes = await load(one.mask)
    const series = await seriesHeaders(one.images.map((path) => join(root, path)))
    const drawnOn = series === null ? null : { series, labels: maskLabels }
    const { mask, notes } = await preprocessMask(bytes, volume, drawnOn)
    if (maskValues !== null) checkValues(mask, maskValues)
    return { ...sound, volume: { ...volume, mask, notes: [...volume.notes, ...notes] } }
  } catch (error) {
    // Images are read together, and before the mask.
    const last = source.files.at(-1)
    const isLast = last !== undefined && (last.path === one.mask || last.stamp === null)
    const file = isLast ? last.path : one.images[0]!
    // What was not reached is listed too: the next run must see when it changes.
    for (const path of [...one.images, ...(one.mask === undefined ? [] : [one.mask])])
      if (!source.files.some((file) => file.path === path))
        source.files.push({ path, stamp: await stampFile(join(root, path)), sha256: null })
    return { source, volume: null, file, reason: reasonOf(error) }
  }
}

async function loadAll(
  paths: readonly string[],
  load: (path: string) => Promise<Uint8Array>,
): Promise<Uint8Array[]> {
  const files: Uint8Array[] = []
  for (const path of paths) files.push(await load(path))
  return files
}

/** @throws {ImageError} for a value that the data set does not name: nobody knows what it means */
function checkValues(mask: Uint8Array, known: readonly number[]): void {
  const isKnown = new Uint8Array(256)
  for (const value of known) isKnown[value] = 1
  const counts = new Map<number, number>()
  for (let i = 0; i < mask.length; i++)
    if (isKnown[mask[i]!] === 0) counts.set(mask[i]!, (counts.get(mask[i]!) ?? 0) + 1)
  if (counts.size === 0) return
  const found = [...counts].sort(([a], [b]) => a - b).map(([value, voxels]) => `${value} (${voxels} voxels)`)
  throw new ImageError(
    `The mask holds ${firstFew(found, MOST_VALUES)}, which nothing names; the labels are ${known.join(', ')}.`,
    'add what is missing to the labels, in dataset.json where there is one and else in the task; or correct the mask.' +
      (found.length > MOST_VALUES
        ? ' So many are traces of smoothing, of JPEG, or of a map of probabilities.'
        : ''),
  )
}

/** Named in a message; a smoothed mask has hundreds. */
const MOST_VALUES = 8

async function writeFiles(
  { data, dtype, shape, affine, mask, source }: MaskedVolume,
  digest: string,
  caseId: string,
  folder: string,
  files: ReturnType<typeof shardFiles>,
  brick: readonly [number, number, number] | null,
): Promise<NonNullable<ShardReport['shard']>> {
  const [channels, ...grid] = shape
  const foreground = mask === null ? null : foregroundIndex(mask, grid)
  const parts = safetensorsParts({
    ...(await voxelTensors('image', STORED_DTYPES[dtype], data, shape, brick)),
    ...(mask === null ? {} : await voxelTensors('mask', 'U8', mask, grid, brick)),
    ...(foreground === null
      ? {}
      : { foreground: { dtype: 'I32', shape: [foreground.rows.length / 4, 4], data: foreground.rows } }),
  })
  const row: VolumeShardCase = {
    case_id: caseId,
    tensor: 'image',
    row: 0,
    shape,
    dtype,
    affine: [...affine],
    source_shape: [...source.shape],
    source_affine: [...source.affine],
    mask_voxels: foreground?.voxels ?? null,
    sha256: digest,
  }
  const cases = Buffer.from(`${JSON.stringify(row)}\n`)
  const sums = encodeSafetensors(sumsOf(data, channels))
  await writeAtomic(join(folder, files.cases), cases)
  await writeAtomic(join(folder, files.sums), sums)
  await writeAtomic(join(folder, files.tensors), parts)
  return {
    file: files.tensors,
    num_cases: 1,
    bytes: parts.reduce((sum, part) => sum + part.byteLength, 0),
    sha256: await sha256File(join(folder, files.tensors)),
    cases_bytes: cases.length,
    cases_sha256: sha256(cases),
    sums_bytes: sums.length,
    sums_sha256: sha256(sums),
  }
}

/** One tensor, or what `readStoredVolume` and the engine put it together from. */
async function voxelTensors(
  name: string,
  dtype: Dtype,
  data: StoredVoxels,
  shape: readonly number[],
  brick: readonly [number, number, number] | null,
): Promise<Record<string, Tensor>> {
  if (brick === null) return { [name]: { dtype, shape: [...shape], data } }
  const { bytes, ends } = await deflateBricks(data, shape, brick)
  return {
    [`${name}_bricks`]: { dtype: 'U8', shape: [bytes.length], data: bytes },
    [`${name}_ends`]: { dtype: 'I64', shape: [ends.length], data: ends },
    [`${name}_shape`]: { dtype: 'I64', shape: [shape.length], data: BigInt64Array.from(shape, BigInt) },
  }
}

/** Sum and sum of squares of stored values per channel, and how many there are in one. */
function sumsOf(data: StoredVolume['data'], channels: number) {
  const voxels = data.length / channels
  const sum = new Float64Array(channels)
  const square = new Float64Array(channels)
  for (let c = 0; c < channels; c++) {
    let [total, squares] = [0, 0]
    for (let i = c * voxels; i < (c + 1) * voxels; i++) {
      const value = data[i]!
      total += value
      squares += value * value
    }
    sum[c] = total
    square[c] = squares
  }
  return {
    sum: { dtype: 'F64' as const, shape: [1, channels], data: sum },
    sum_sq: { dtype: 'F64' as const, shape: [1, channels], data: square },
    count: { dtype: 'F64' as const, shape: [1], data: Float64Array.of(voxels) },
  }
}

function geometryOf(
  { source }: StoredVolume,
  { orientation }: VolumeSpec,
): NonNullable<ShardReport['volume']> {
  const { shape, affine } = orientedGrid(source, orientation)
  const [z, y, x] = voxelSizes(affine)
  return { source_shape: [...shape], source_spacing_mm: [z, y, x] }
}
