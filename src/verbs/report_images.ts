import { encodePng } from '#raster'
import type { StoredTensor } from '../imaging/preprocess.ts'
import type { StoredVolume } from '../imaging/preprocess_volume.ts'
import { nameOf, readIndex, storedCases } from '../prepare/shard_set.ts'
import { readShardCases } from '../prepare/staging.ts'
import { readStoredCase } from '../prepare/stored_volume.ts'
import { type ChosenCase, chooseCases } from '../report/choose_cases.ts'
import type { ReportImage } from '../report/image_grid.ts'
import type { Evaluation } from '../schema/evaluation.ts'
import type { Prediction } from '../schema/prediction.ts'
import type { VolumeShardCase } from '../schema/shard_set.ts'
import { middleSlice } from './volume_slice.ts'

/** What a case is drawn from, as preprocessing gives it: an image, or a volume with its place. */
export type StoredPicture =
  | Pick<StoredTensor, 'data' | 'shape'>
  | Pick<StoredVolume, 'data' | 'shape' | 'affine'>

/** Longest side of a slice, in pixels. */
const LONGEST = 256

/**
 * Pictures of the cases worth looking at, as PNG; of a volume its middle slice.
 *
 * @param load the stored values of a case; null leaves the case out
 */
export async function reportImages(
  predictions: readonly Prediction[],
  evaluation: Evaluation,
  load: (case_id: string) => Promise<StoredPicture | null>,
): Promise<ReportImage[]> {
  const pngs = new Map<string, string | null>()
  const images: ReportImage[] = []
  for (const { prediction, label, kind } of chooseCases(predictions, evaluation)) {
    const { case_id, labels, scores } = prediction satisfies ChosenCase['prediction']
    if (!pngs.has(case_id)) {
      const stored = await load(case_id)
      pngs.set(case_id, stored && Buffer.from(await pngOf(stored)).toString('base64'))
    }
    const png_base64 = pngs.get(case_id)
    if (png_base64) images.push({ case_id, label, kind, png_base64, truth: labels, scores })
  }
  return images
}

/** A reader of stored values by case id; null when the shard set is not there or is another one now. */
export async function shardImages(
  shardSet: string,
  setId: string,
): Promise<((case_id: string) => Promise<StoredPicture | null>) | null> {
  const index = await readIndex(shardSet)
  if (index === null || index.set_id !== setId) return null
  const places = new Map<string, { file: string; row: number }>()
  const cases = await storedCases(shardSet, index)
  let n = 0
  for (const { file, num_cases } of index.shards)
    for (let row = 0; row < num_cases; row++) places.set(cases[n++]!.case_id, { file, row })
  return async (case_id) => {
    const place = places.get(case_id)
    if (!place) return null
    const data = await readStoredCase(shardSet, index, place)
    if (index.kind === 'images') return { data: data as StoredTensor['data'], shape: index.sample_shape }
    const { shape, affine } = (await readShardCases(shardSet, nameOf(place.file)))[0] as VolumeShardCase
    return { data, shape, affine: affine as unknown as StoredVolume['affine'] }
  }
}

async function pngOf(stored: StoredPicture): Promise<Uint8Array> {
  if (!('affine' in stored)) return imagePng(stored)
  const {
    data,
    shape: [, ...shape],
    affine,
  } = stored
  return encodePng({ ...middleSlice({ data, shape, affine }, LONGEST), channels: 3 })
}

/** 8-bit PNG of a stored image; int16 keeps its upper 8 bits. */
async function imagePng({
  data,
  shape: [channels, height, width],
}: Pick<StoredTensor, 'data' | 'shape'>): Promise<Uint8Array> {
  const pixels = height * width
  const interleaved = new Uint8Array(pixels * channels)
  for (let c = 0; c < channels; c++)
    for (let i = 0; i < pixels; i++) {
      const value = data[c * pixels + i]!
      interleaved[i * channels + c] = data instanceof Int16Array ? (value + 32768) >> 8 : value
    }
  return encodePng({ data: interleaved, height, width, channels: channels === 3 ? 3 : 1 })
}
