import { decodeRaster } from '#raster'
import { decodeImage } from './decode_image.ts'
import type { Grid } from './geometry/grid.ts'
import { readHeader, storedHeader } from './header.ts'
import { ImageError } from './image_error.ts'
import { turnUpright } from './orientation.ts'
import { paletteAsGrey } from './png_palette.ts'
import type { Raster } from './raster.ts'
import { type RasterFormat, rasterFormat } from './signature.ts'
import { tiffSamples } from './tiff_header.ts'
import type { Affine, Volume } from './volume.ts'

/**
 * Where a pixel of a raster image lies: index (z, y, x) to (x, y, z) pixels. PNG, JPEG and TIFF know no patient, so this
 * counts pixels and says nothing of anybody's left and right; `distance_unit` tells it from an affine in mm.
 */
export const PIXEL_AFFINE: Affine = [0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1]

/** Whether a file's first bytes are those of PNG, JPEG, TIFF or WebP. */
export const isRaster = (start: Uint8Array): boolean => rasterFormat(start) !== null

/**
 * A raster image as a volume of one slice [C, 1, Y, X]: upright by EXIF, one channel of grey or three of RGB, samples of
 * 8 or 16 bits as they are.
 *
 * @throws {ImageError} as `decodeImage`
 */
export async function rasterVolume(
  bytes: Uint8Array,
): Promise<{ volume: Volume; format: RasterFormat; notes: string[] }> {
  const { raster, header, notes } = await decodeImage(bytes, { exif_orientation: true })
  const isTurned = storedHeader(bytes).orientation !== 1
  return {
    volume: asVolume(raster),
    format: header.format as RasterFormat,
    notes: isTurned ? [...notes, TURNED] : notes,
  }
}

/** Of half a turn the size tells nothing: whoever draws or opens a mask has to know. */
const TURNED = 'The image is turned upright by its EXIF tag; its mask lies on it as it is displayed.'

/** Bits of a sample of a raster image's volume. */
export const sampleBits = ({ data }: Pick<Volume, 'data'>): 8 | 16 => (data instanceof Uint8Array ? 8 : 16)

/** @throws {ImageError} for channels of 8 and of 16 bits in one case: one window cannot serve both */
export function refuseMixedDepths(bits: readonly (8 | 16 | undefined)[]): void {
  const other = bits.findIndex((one) => one !== bits[0])
  if (other < 0) return
  throw new ImageError(
    `Channel ${other} has ${bits[other]} bits a sample and channel 0 ${bits[0]}.`,
    'give all channels of a case in one depth.',
  )
}

/** What `rasterVolume` would make, by the header of a whole file. */
export interface RasterGrid extends Grid {
  channels: number
  distance_unit: 'px'
  bits: 8 | 16
}

/** @throws {ImageError} as `readHeader` */
export async function rasterGrid(bytes: Uint8Array): Promise<RasterGrid> {
  const { height, width, channels, bits } = await readHeader(bytes)
  return {
    shape: [1, height, width],
    affine: PIXEL_AFFINE,
    channels: channels === 1 ? 1 : 3,
    distance_unit: 'px',
    bits,
  }
}

const AS_LABELS = 'save it as grey PNG whose values are the labels, without colours and transparency.'

/**
 * A mask in a raster file as a volume of one slice, its values as stored: the indices of a palette rather than its
 * colours, 0 and 1 of a PNG of one bit, 0 of a TIFF that shows it white. RGB whose components are equal is grey.
 *
 * @throws {ImageError} for lossy files, colours, transparency
 */
export async function rasterMask(bytes: Uint8Array): Promise<Volume> {
  const plain = rasterFormat(bytes) === 'png' ? paletteAsGrey(bytes) : bytes
  const header = storedHeader(plain)
  if (header.lossy)
    throw new ImageError(
      `The mask is a ${header.format.toUpperCase()} with lossy compression, which changes labels along their edges.`,
      `draw it again from the original and ${AS_LABELS}`,
    )
  const samples = samplesOf(plain, header.format)
  if (samples.isPalette)
    throw new ImageError('The mask is a TIFF with a palette; its indices are not read.', AS_LABELS)
  const raster = turnUpright(await decodeRaster(plain, header), header.orientation)
  const grey = greyOf(raster)
  // Decoders widen narrow samples to 0..255.
  const step = samples.bits < 8 ? 255 / (2 ** samples.bits - 1) : 1
  const top = samples.isWhiteZero ? (grey.data instanceof Uint16Array ? 65535 : 255) : null
  if (step === 1 && top === null) return asVolume(grey)
  return asVolume({
    ...grey,
    data: grey.data.map((value) => (top === null ? value : top - value) / step),
  })
}

function samplesOf(bytes: Uint8Array, format: RasterFormat): ReturnType<typeof tiffSamples> {
  if (format === 'tiff') return tiffSamples(bytes)
  return { bits: format === 'png' ? bytes[24]! : 8, isPalette: false, isWhiteZero: false }
}

/** @throws {ImageError} for pixels that are coloured or not opaque */
function greyOf({ data, height, width, channels }: Raster): Raster {
  if (channels === 1) return { data, height, width, channels }
  const colours = channels >= 3 ? 3 : 1
  const full = data instanceof Uint16Array ? 65535 : 255
  const out = data instanceof Uint16Array ? new Uint16Array(height * width) : new Uint8Array(height * width)
  for (let i = 0, at = 0; i < out.length; i++, at += channels) {
    const value = data[at]!
    if (colours === 3 && (data[at + 1] !== value || data[at + 2] !== value))
      throw new ImageError(
        `The mask is in colour: pixel (y ${Math.floor(i / width)}, x ${i % width}) is ${value}, ${data[at + 1]}, ${data[at + 2]}, and which label a colour stands for is not known.`,
        AS_LABELS,
      )
    if (channels > colours && data[at + colours] !== full)
      throw new ImageError('The mask has transparent pixels, whose label is not known.', AS_LABELS)
    out[i] = value
  }
  return { data: out, height, width, channels: 1 }
}

function asVolume({ data, height, width, channels }: Raster): Volume {
  return {
    data: channels === 1 ? data : planar(data, height * width, channels),
    channels,
    shape: [1, height, width],
    affine: PIXEL_AFFINE,
    distance_unit: 'px',
  }
}

/** [H, W, C] to [C, H, W]. */
function planar(data: Raster['data'], pixels: number, channels: number): Raster['data'] {
  const out = data.slice()
  for (let i = 0, at = 0; i < pixels; i++)
    for (let c = 0; c < channels; c++) out[c * pixels + i] = data[at++]!
  return out
}
