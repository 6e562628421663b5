import type { ImageHeader } from '../header.ts'
import { ImageError } from '../image_error.ts'
import type { Raster, SampleMeaning } from '../raster.ts'
import type { Voxels } from '../volume.ts'
import { decodePixels } from './decode_pixels.ts'
import {
  type DicomInstance,
  type FramePlace,
  type ImageFacts,
  readDicomHeader,
  readDicomInstance,
} from './instance.ts'
import { modalityValue } from './modality.ts'
import { paletteToRgb } from './palette.ts'
import { voiValue } from './voi.ts'

/**
 * What a DICOM file holds as a 2D image; decodes no pixels.
 *
 * @throws {ImageError} if the file is damaged, has several frames or none, or values that are no image's
 */
export function dicomHeader(bytes: Uint8Array): ImageHeader {
  const instance = readDicomHeader(bytes)
  return headerOf(instance, singleFrame(instance))
}

/**
 * Decodes a DICOM file of one frame as a 2D image. Grey ones keep their stored values, shifted to begin at 0, with
 * what each stands for beside them; YCbCr and palettes become RGB.
 *
 * @throws {ImageError} as `dicomHeader` does, and if the pixels are damaged
 */
export async function decodeDicomImage(
  bytes: Uint8Array,
): Promise<{ raster: Raster; meaning: SampleMeaning | null; header: ImageHeader; notes: string[] }> {
  const instance = readDicomInstance(bytes)
  const image = singleFrame(instance)
  const { data } = await decodePixels(instance.file)
  const size = { height: image.rows, width: image.columns }
  const rest = { header: headerOf(instance, image), notes: instance.file.notes }
  if (image.photometric === 'PALETTE COLOR') {
    const rgb = paletteToRgb(data, instance.file.dataSet, image.isSigned)
    return { raster: { ...size, data: rgb, channels: 3 }, meaning: null, ...rest }
  }
  if (image.samples === 3)
    return {
      raster: { ...size, data: data as Uint8Array | Uint16Array, channels: 3 },
      meaning: null,
      ...rest,
    }
  const { samples, least } = fromZero(data)
  const meaning = meaningOf(image, image.frames[0]!, {
    least,
    count: samples instanceof Uint16Array ? 65536 : 256,
  })
  return { raster: { ...size, data: samples, channels: 1 }, meaning, ...rest }
}

function singleFrame({ image, modality }: DicomInstance): ImageFacts {
  if (image === null)
    throw new ImageError(
      `The DICOM file holds no pixels${modality === null ? '' : ` (modality ${modality})`}.`,
      'leave it out, or give the image that belongs there.',
    )
  if (image.numFrames > 1)
    throw new ImageError(
      `The DICOM file has ${image.numFrames} frames; a 2D task takes one.`,
      'write the frame that is meant to a file of its own, or make this a task of volumes.',
    )
  const isWide = image.bitsAllocated > 16
  if (isWide || (image.samples === 3 && image.isSigned))
    throw new ImageError(
      `The DICOM file has ${image.bitsAllocated}-bit ${image.isSigned ? 'signed or floating-point ' : ''}values of ` +
        `${image.photometric}; a 2D task takes up to 16 bits.`,
      'export it with 8 or 16 bits.',
    )
  return image
}

function headerOf({ file }: DicomInstance, image: ImageFacts): ImageHeader {
  const isPalette = image.photometric === 'PALETTE COLOR'
  return {
    format: 'dicom',
    height: image.rows,
    width: image.columns,
    bits: image.bitsAllocated <= 8 || isPalette ? 8 : 16,
    channels: image.samples === 3 || isPalette ? 3 : 1,
    lossy: file.transferSyntax.isLossy,
  }
}

/** Signed values moved up by half their range, so that the least is 0. */
function fromZero(data: Voxels): { samples: Uint8Array | Uint16Array; least: number } {
  if (data instanceof Uint8Array || data instanceof Uint16Array) return { samples: data, least: 0 }
  const samples = data instanceof Int8Array ? new Uint8Array(data.length) : new Uint16Array(data.length)
  const least = data instanceof Int8Array ? -128 : -32768
  for (let i = 0; i < data.length; i++) samples[i] = data[i]! - least
  return { samples, least }
}

/** The value and the place in the range of display of each sample; without a VOI, the range is that of the stored bits. */
function meaningOf(
  { bitsStored, isSigned, photometric }: ImageFacts,
  { modality, vois }: FramePlace,
  { least, count }: { least: number; count: number },
): SampleMeaning {
  const lowest = isSigned ? -(2 ** (bitsStored - 1)) : 0
  const [voi] = vois
  const values = new Float64Array(count)
  const display = new Float64Array(count)
  for (let i = 0; i < count; i++) {
    const stored = i + least
    values[i] = modalityValue(modality, stored)
    display[i] = voi === undefined ? (stored - lowest) / (2 ** bitsStored - 1) : voiValue(voi, values[i]!)
  }
  return { values, display, isInverted: photometric === 'MONOCHROME1' }
}
