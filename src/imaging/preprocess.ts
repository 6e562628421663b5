import type { ImageSpec } from '../schema/preprocess.ts'
import { decodeImage } from './decode_image.ts'
import { fit } from './fit.ts'
import type { ImageHeader } from './header.ts'
import { luma } from './luma.ts'
import { flip } from './orientation.ts'
import { pad } from './pad.ts'
import type { Planes, Raster } from './raster.ts'
import { resize } from './resize.ts'
import { applyStain } from './stain.ts'
import { applyWindow } from './window.ts'

/** What a shard holds and a network is fed. */
export interface StoredTensor {
  /** [C, H, W], channel by channel. */
  data: Uint8Array | Int16Array
  shape: [C: number, H: number, W: number]
  dtype: 'uint8' | 'int16'
  /** What the file held, after the EXIF turn. */
  source: ImageHeader
  /** For a person: what was done to this file that is not done to every file. */
  notes: string[]
}

/**
 * A file's bytes to the stored tensor: the one function that training, packages and serving share.
 *
 * In this order:
 * 1. decode, without colour management; CMYK to RGB; alpha composited over black (`flatten`)
 * 2. turn upright by EXIF, if the spec says so; reverse the axes in `flip`
 * 3. window: source values to the stored range, 0..255 or 0..65535; of DICOM, the values that its modality transform
 *    gives, by the spec's window or else the file's own; then MONOCHROME1 is inverted
 * 4. stain normalisation, RGB only
 * 5. RGB to grey (luma) if one channel is stored
 * 6. fit: resize (Pillow's filter), cut to or padded to `size`
 * 7. grey repeated to three channels if three are stored; channel order
 * 8. int16: less 32768
 *
 * Every step is integer arithmetic, additions, multiplications, divisions, square roots and tables: the same bytes on
 * every platform. Only decoders of lossy formats may differ between platforms.
 *
 * @throws {ImageError} naming what is wrong with the file and what to do
 */
export async function preprocess(bytes: Uint8Array, spec: ImageSpec): Promise<StoredTensor> {
  const decoded = await decodeImage(bytes, spec)
  const upright = flip(decoded.raster, { y: spec.flip.includes('y'), x: spec.flip.includes('x') })
  const windowed = applyWindow(upright, spec.window, spec.dtype === 'int16' ? 16 : 8, decoded.meaning)
  const { raster: stained, notes } = applyStain(windowed, spec.stain)
  const coloured = spec.channels === 1 ? luma(stained) : stained
  const planes = place(coloured, spec)
  return {
    data: store(planes, spec),
    shape: [spec.channels, ...spec.size],
    dtype: spec.dtype,
    source: decoded.header,
    notes: [...decoded.notes, ...notes],
  }
}

/** Resized by the spec's filter, then cut or padded to its size. */
function place(raster: Raster, spec: ImageSpec): Planes {
  const [height, width] = spec.size
  const placement = fit([raster.height, raster.width], spec.size, spec.fit)
  const resized = resize(
    raster,
    placement,
    { filter: spec.resample, antialias: spec.antialias },
    {
      top: Math.max(0, -placement.top),
      left: Math.max(0, -placement.left),
      height: Math.min(height, placement.height),
      width: Math.min(width, placement.width),
    },
  )
  return pad(resized, spec.size, placement, spec.pad_value)
}

/** The stored channels in the stored type. */
function store({ data, channels }: Planes, spec: ImageSpec): Uint8Array | Int16Array {
  const samples = data instanceof Uint16Array ? centred(data) : data
  if (channels === spec.channels && spec.channel_order === 'rgb') return samples
  const length = spec.size[0] * spec.size[1]
  const out =
    samples instanceof Int16Array
      ? new Int16Array(spec.channels * length)
      : new Uint8Array(spec.channels * length)
  for (let c = 0; c < spec.channels; c++) {
    const from = channels === 1 ? 0 : spec.channel_order === 'bgr' ? channels - 1 - c : c
    out.set(samples.subarray(from * length, (from + 1) * length), c * length)
  }
  return out
}

/** 0..65535 to -32768..32767. */
function centred(data: Uint16Array): Int16Array {
  const out = new Int16Array(data.length)
  for (let i = 0; i < data.length; i++) out[i] = data[i]! - 32768
  return out
}
