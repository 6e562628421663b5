import { UserError } from '../schema/errors.ts'
import type { ImageSpec } from '../schema/preprocess.ts'
import type { ImagePrepare } from '../schema/recipe.ts'
import { decodeImage } from './decode_image.ts'
import { readHeader } from './header.ts'
import { ImageError } from './image_error.ts'
import { STAIN_TARGETS } from './stain_targets.ts'

/**
 * A complete preprocess spec from the recipe's `prepare` and the bytes of a sample of files.
 *
 * `dtype: auto` is uint8 for 8-bit files, int16 above (uint8 with stain normalisation, whose arithmetic is 8-bit).
 * `window: auto` keeps 8-bit values as they are and takes DICOM files at their word, each by its own window; else, above
 * 8 bits, it is 0 to the next 2^n - 1 over the largest value in the sample. Nothing of the sample is read when neither is `auto`. Files that cannot be read are passed over:
 * preparation will quarantine them with the reason.
 *
 * @throws {UserError} if no file of the sample can be read, or if it mixes 8- and 16-bit files, or DICOM with others
 *   of 16 bits
 */
export async function resolveSpec(
  prepare: ImagePrepare,
  sample: AsyncIterable<Uint8Array>,
): Promise<ImageSpec> {
  const isOpen = prepare.window === 'auto' || prepare.dtype === 'auto'
  const depth = isOpen
    ? await sampleDepth(sample, prepare)
    : { bits: 8 as const, largest: 255, isDicom: false }
  const stain = resolveStain(prepare)
  const is16 = depth.bits === 16
  return {
    kind: 'image',
    size: typeof prepare.size === 'number' ? [prepare.size, prepare.size] : prepare.size,
    channels: prepare.channels,
    fit: prepare.fit,
    resample: prepare.resample,
    antialias: prepare.antialias,
    pad_value: prepare.pad_value,
    window:
      prepare.window !== 'auto'
        ? prepare.window
        : is16 && !depth.isDicom
          ? { low: 0, high: nextFull(depth.largest) }
          : null,
    exif_orientation: prepare.exif_orientation,
    flip: prepare.flip,
    channel_order: prepare.channel_order,
    stain,
    dtype: prepare.dtype !== 'auto' ? prepare.dtype : is16 && stain === null ? 'int16' : 'uint8',
  }
}

/** @throws {UserError} if stains are to be normalised in 16 bits: the method is defined on 8-bit RGB */
function resolveStain({ stain, dtype }: ImagePrepare): ImageSpec['stain'] {
  if (stain === 'none') return null
  if (dtype === 'int16')
    throw new UserError(
      'prepare.stain works on 8-bit RGB, but prepare.dtype is int16.\n' +
        '  do: set prepare.dtype to auto or uint8, or prepare.stain to none.',
    )
  return typeof stain === 'string' ? STAIN_TARGETS[stain] : stain
}

/** Bits of the sampled files, and the largest value in those of 16 bits that are not DICOM. */
async function sampleDepth(
  sample: AsyncIterable<Uint8Array>,
  prepare: ImagePrepare,
): Promise<{ bits: 8 | 16; largest: number; isDicom: boolean }> {
  const counts = { 8: 0, 16: 0 }
  const dicom = { 8: 0, 16: 0 }
  let largest = 0
  let failure: ImageError | null = null
  for await (const bytes of sample) {
    try {
      const { bits, format } = await readHeader(bytes)
      if (format === 'dicom') {
        dicom[bits] += 1
        continue
      }
      if (bits === 16 && prepare.window === 'auto') {
        const { raster } = await decodeImage(bytes, { exif_orientation: false })
        largest = largestValue(raster.data, largest)
      }
      counts[bits] += 1
    } catch (error) {
      if (!(error instanceof ImageError)) throw error
      failure = error
    }
  }
  const numDicom = dicom[8] + dicom[16]
  if (counts[8] + counts[16] + numDicom === 0)
    throw new UserError(
      failure === null
        ? 'There is no image to look at.\n  do: check data.root and the image paths.'
        : `None of the sampled images can be read. The last: ${failure.message}`,
      failure === null ? {} : { cause: failure },
    )
  if (counts[8] > 0 && counts[16] > 0)
    throw new UserError(
      `Of the sampled images ${counts[8]} have 8-bit and ${counts[16]} 16-bit values, which are not comparable.\n` +
        '  do: convert them to one depth, or leave one kind out.',
    )
  if (numDicom > 0 && counts[16] > 0 && prepare.window === 'auto')
    throw new UserError(
      `Of the sampled images ${numDicom} are DICOM, which say how they are to be shown, and ${counts[16]} have 16-bit ` +
        'values that say nothing.\n  do: set prepare.window: { low, high }, or leave one kind out.',
    )
  return { bits: counts[16] + dicom[16] > 0 ? 16 : 8, largest, isDicom: numDicom > 0 }
}

/** The smallest 2^n - 1 that is at least `value` and 255. */
function nextFull(value: number): number {
  let full = 255
  while (full < value) full = full * 2 + 1
  return full
}

function largestValue(data: Uint8Array | Uint16Array, atLeast: number): number {
  let largest = atLeast
  for (let i = 0; i < data.length; i++) if (data[i]! > largest) largest = data[i]!
  return largest
}
