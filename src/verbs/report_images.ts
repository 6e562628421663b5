import { join } from 'node:path'
import { encodePng } from '#raster'
import { readIndex, storedCases } from '../prepare/shard_set.ts'
import { type ChosenCase, chooseCases } from '../report/choose_cases.ts'
import type { ReportImage } from '../report/image_grid.ts'
import type { Evaluation } from '../schema/evaluation.ts'
import type { Prediction } from '../schema/prediction.ts'
import { readRows } from '../storage/safetensors.ts'

/** A stored tensor [C, H, W], as preprocess gives it. */
export interface StoredImage {
  data: Uint8Array | Int16Array
  shape: readonly [number, number, number]
}

/**
 * Images of the cases worth looking at, as PNG.
 *
 * @param load the stored tensor of a case; null leaves the case out
 */
export async function reportImages(
  predictions: readonly Prediction[],
  evaluation: Evaluation,
  load: (case_id: string) => Promise<StoredImage | null>,
): Promise<ReportImage[]> {
  const pngs = new Map<string, string | null>()
  const images: ReportImage[] = []
  for (const { prediction, label, kind } of chooseCases(predictions, evaluation)) {
    const { case_id, labels, scores } = prediction satisfies ChosenCase['prediction']
    if (!pngs.has(case_id)) {
      const stored = await load(case_id)
      pngs.set(case_id, stored && Buffer.from(await storedPng(stored)).toString('base64'))
    }
    const png_base64 = pngs.get(case_id)
    if (png_base64) images.push({ case_id, label, kind, png_base64, truth: labels, scores })
  }
  return images
}

/** A reader of stored tensors by case id; null when the shard set is not there or is another one now. */
export async function shardImages(
  shardSet: string,
  setId: string,
): Promise<((case_id: string) => Promise<StoredImage | null>) | null> {
  const index = await readIndex(shardSet)
  if (index === null || index.kind !== 'images' || index.set_id !== setId) return null
  const places = new Map<string, { file: string; row: number }>()
  const cases = await storedCases(shardSet, index)
  let n = 0
  for (const { file, num_cases } of index.shards)
    for (let row = 0; row < num_cases; row++) places.set(cases[n++]!.case_id, { file, row })
  return async (case_id) => {
    const place = places.get(case_id)
    if (!place) return null
    const { data } = await readRows(join(shardSet, place.file), 'image', place.row, 1)
    return { data: data as StoredImage['data'], shape: index.sample_shape }
  }
}

/** 8-bit PNG of a stored tensor; int16 keeps its upper 8 bits. */
async function storedPng({ data, shape: [channels, height, width] }: StoredImage): Promise<Uint8Array> {
  const pixels = height * width
  const interleaved = new Uint8Array(pixels * channels)
  for (let c = 0; c < channels; c++)
    for (let i = 0; i < pixels; i++) {
      const value = data[c * pixels + i]!
      interleaved[i * channels + c] = data instanceof Int16Array ? (value + 32768) >> 8 : value
    }
  return encodePng({ data: interleaved, height, width, channels: channels === 3 ? 3 : 1 })
}
