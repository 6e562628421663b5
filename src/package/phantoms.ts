import { encodeRaster } from '#raster'
import { writeDicom } from '../imaging/dicom/write.ts'
import type { Raster } from '../imaging/raster.ts'
import type { ImageSpec } from '../schema/preprocess.ts'

export interface PhantomFile {
  file: string
  bytes: Uint8Array
  /** Decoders of its format may differ by a few grey levels. */
  lossy: boolean
}

/**
 * Synthetic images that betray any change of preprocessing, one an accepted format: unequal sides and another
 * aspect ratio than the spec's (fit, flip), larger and smaller than the target (filter, antialiasing), colour
 * (channel order, luma, stain), 16 bit over the window and past its ends, an EXIF turn, a DICOM radiograph with a window
 * of its own and low values bright. No patient's data.
 *
 * The same spec gives the same bytes for the same version of the encoders.
 */
export async function makePhantoms(spec: ImageSpec): Promise<PhantomFile[]> {
  const [rows, columns] = spec.size
  const sized = (y: number, x: number) => ({ height: Math.ceil(rows * y), width: Math.ceil(columns * x) })
  const window = spec.window ?? { low: 0, high: 65535 }
  // A spec whose window reaches beyond 8 bits refuses 8-bit files.
  const isWide = spec.window !== null && spec.window.high > 255
  const tiffSize = sized(0.8, 0.7)
  return [
    { file: 'grey-8bit.png', bytes: await encodeRaster(paint8(sized(1.7, 1.3), 1), 'png'), lossy: false },
    {
      file: 'grey-16bit.png',
      bytes: await encodeRaster(paint16(sized(1.3, 1.9), 1, window), 'png'),
      lossy: false,
    },
    {
      file: 'colour-turned.jpg',
      // EXIF 6: shown turned by 90 degrees, so the stored sides are swapped.
      bytes: await encodeRaster(paint8(sized(1.6, 2.1), 3), 'jpeg', { orientation: 6 }),
      lossy: true,
    },
    {
      file: 'colour.tif',
      bytes: await encodeRaster(isWide ? paint16(tiffSize, 3, window) : paint8(tiffSize, 3), 'tiff'),
      lossy: false,
    },
    { file: 'colour.webp', bytes: await encodeRaster(paint8(sized(1.2, 2.3), 3), 'webp'), lossy: false },
    { file: 'grey.dcm', bytes: dicom(paint16(sized(1.4, 1.1), 1, window), window), lossy: false },
  ]
}

type Size = { height: number; width: number }

function paint8(size: Size, channels: 1 | 3): Raster {
  const data = new Uint8Array(size.height * size.width * channels)
  paint(size, channels, (i, value) => {
    data[i] = Math.round(value * 255)
  })
  return { ...size, channels, data }
}

/** Values from a tenth of the window below its low end to a tenth above its high end, within 16 bits. */
function paint16(size: Size, channels: 1 | 3, { low, high }: { low: number; high: number }): Raster {
  const data = new Uint16Array(size.height * size.width * channels)
  const span = high - low
  paint(size, channels, (i, value) => {
    data[i] = Math.max(0, Math.min(65535, Math.round(low - 0.1 * span + 1.2 * span * value)))
  })
  return { ...size, channels, data }
}

function dicom({ data, height, width }: Raster, { low, high }: { low: number; high: number }): Uint8Array {
  return writeDicom({
    SOPClassUID: '1.2.840.10008.5.1.4.1.1.7',
    SOPInstanceUID: '2.25.1',
    Modality: 'OT',
    ...{ SamplesPerPixel: 1, PhotometricInterpretation: 'MONOCHROME1', Rows: height, Columns: width },
    ...{ BitsAllocated: 16, BitsStored: 16, HighBit: 15, PixelRepresentation: 0 },
    ...{ WindowCenter: (low + high) / 2, WindowWidth: Math.max(1, 0.8 * (high - low)) },
    PixelData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  })
}

/** A slope, a disc off the centre, a bar, a patch of pixel-wide stripes: no symmetry, all frequencies. */
function paint(size: Size, channels: number, set: (i: number, value: number) => void): void {
  const { height, width } = size
  for (let row = 0, i = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const y = row / height
      const x = column / width
      const inDisc = (y - 0.35) ** 2 + (x - 0.3) ** 2 < 0.04
      const inBar = y > 0.7 && y < 0.8 && x > 0.15
      const stripe = y > 0.1 && y < 0.5 && x > 0.6 && x < 0.95 && (row + 2 * column) % 3 === 0
      for (let c = 0; c < channels; c++, i++) {
        const slope = 0.15 + 0.3 * y + 0.2 * x
        // Pink and violet like a stained tile: red strong, green weak, blue between.
        const tint = channels === 1 ? 0 : [0.2, -0.12, 0.08][c]!
        const value = slope + tint + (inDisc ? 0.25 - 0.1 * c : 0) + (inBar ? -0.15 : 0) + (stripe ? 0.3 : 0)
        set(i, Math.max(0, Math.min(1, value)))
      }
    }
  }
}
