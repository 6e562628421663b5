import sharp, { type Sharp } from 'sharp'
import type { PreprocessSpec } from '../schema/preprocess.ts'

export interface PhantomFile {
  file: string
  bytes: Uint8Array
  /** Decoders of its format may differ by a few grey levels. */
  lossy: boolean
}

/**
 * Synthetic images that betray any change of preprocessing, one an accepted format: unequal sides and another
 * aspect ratio than the spec's (fit, flip), larger and smaller than the target (filter, antialiasing), colour
 * (channel order, luma, stain), 16 bit over the window and past its ends, an EXIF turn. No patient's data.
 *
 * The same spec gives the same bytes for the same version of the encoders.
 */
export async function makePhantoms(spec: PreprocessSpec): Promise<PhantomFile[]> {
  const [rows, columns] = spec.size
  const sized = (y: number, x: number) => ({ height: Math.ceil(rows * y), width: Math.ceil(columns * x) })
  const window = spec.window ?? { low: 0, high: 65535 }
  return [
    {
      file: 'grey-8bit.png',
      bytes: await grey8(sized(1.7, 1.3)).png().toBuffer(),
      lossy: false,
    },
    {
      file: 'grey-16bit.png',
      bytes: await grey16(sized(1.3, 1.9), window).png().toBuffer(),
      lossy: false,
    },
    {
      file: 'colour-turned.jpg',
      // EXIF 6: shown turned by 90 degrees, so the stored sides are swapped.
      bytes: await colour(sized(1.6, 2.1)).withMetadata({ orientation: 6 }).jpeg({ quality: 90 }).toBuffer(),
      lossy: true,
    },
    {
      file: 'colour.tif',
      bytes: await tiff(sized(0.8, 0.7), spec.window)
        .tiff({ compression: 'lzw', predictor: 'horizontal' })
        .toBuffer(),
      lossy: false,
    },
    {
      file: 'colour.webp',
      bytes: await colour(sized(1.2, 2.3)).webp({ lossless: true }).toBuffer(),
      lossy: false,
    },
  ]
}

type Size = { height: number; width: number }
type Window = { low: number; high: number }

function grey8({ height, width }: Size): Sharp {
  const data = new Uint8Array(height * width)
  paint({ height, width }, 1, (i, value) => {
    data[i] = Math.round(value * 255)
  })
  return sharp(data, { raw: { height, width, channels: 1 } }).toColourspace('b-w')
}

function grey16(size: Size, window: Window): Sharp {
  return sharp(painted16(size, 1, window), { raw: { ...size, channels: 1 } }).toColourspace('grey16')
}

function colour(size: Size): Sharp {
  const data = new Uint8Array(size.height * size.width * 3)
  paint(size, 3, (i, value) => {
    data[i] = Math.round(value * 255)
  })
  return sharp(data, { raw: { ...size, channels: 3 } })
}

/** Colour in 16 bits where the spec's window reaches beyond 8: such a spec refuses 8-bit files. */
function tiff(size: Size, window: Window | null): Sharp {
  if (window === null || window.high <= 255) return colour(size)
  return sharp(painted16(size, 3, window), { raw: { ...size, channels: 3 } }).toColourspace('rgb16')
}

/** Values from a tenth of the window below its low end to a tenth above its high end, within 16 bits. */
function painted16(size: Size, channels: number, { low, high }: Window): Uint16Array {
  const data = new Uint16Array(size.height * size.width * channels)
  const span = high - low
  paint(size, channels, (i, value) => {
    data[i] = Math.max(0, Math.min(65535, Math.round(low - 0.1 * span + 1.2 * span * value)))
  })
  return data
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
