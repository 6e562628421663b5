import type { StoredHeader } from './header.ts'
import type { Raster } from './raster.ts'

/**
 * Grey [H, W, 1] or RGB [H, W, 3] of decoded samples: CMYK is converted, alpha composited over black.
 *
 * CMYK by the plain formula 255 - K - C·(255 - K)/255, as Pillow does: no colour management here or elsewhere.
 * Alpha: v·a/255 rounded, so that transparent pixels are black whatever colour hides beneath; decoders hand over
 * premultiplied colours as straight ones. A channel to which the file gives no meaning is ignored. Each is noted.
 */
export function flatten(raster: Raster, header: StoredHeader): { raster: Raster; notes: string[] } {
  if (header.colour === 'cmyk')
    return {
      raster: cmykToRgb(raster),
      notes: ['CMYK was converted to RGB by the plain formula, without its colour profile.'],
    }
  const numColours = header.colour === 'grey' ? 1 : 3
  if (raster.channels === numColours) return { raster, notes: [] }
  // Grey with alpha may arrive as RGB with alpha: its three colours are then equal.
  const colours = takeColours(raster, numColours)
  if (header.alpha === 'none') return { raster: colours, notes: [] }
  if (header.alpha === 'unspecified')
    return { raster: colours, notes: ['A channel without a stated meaning was ignored.'] }
  if (isOpaque(raster)) return { raster: colours, notes: [] }
  composite(colours, raster)
  return { raster: colours, notes: ['Transparent pixels were composited over black.'] }
}

function cmykToRgb(raster: Raster): Raster {
  const { data, height, width } = raster
  const rgb = new Uint8Array(height * width * 3)
  for (let from = 0, to = 0; from < data.length; from += 4) {
    const light = 255 - data[from + 3]!
    for (let c = 0; c < 3; c++) rgb[to++] = Math.max(0, light - divide255(data[from + c]! * light))
  }
  return { data: rgb, height, width, channels: 3 }
}

function takeColours(raster: Raster, numColours: 1 | 3): Raster {
  const { data, height, width, channels } = raster
  const out = like(data, height * width * numColours)
  for (let from = 0, to = 0; to < out.length; from += channels)
    for (let c = 0; c < numColours; c++) out[to++] = data[from + c]!
  return { data: out, height, width, channels: numColours }
}

function isOpaque({ data, channels }: Raster): boolean {
  const full = data instanceof Uint16Array ? 65535 : 255
  for (let i = channels - 1; i < data.length; i += channels) if (data[i] !== full) return false
  return true
}

function composite(colours: Raster, { data, channels }: Raster): void {
  const is16 = data instanceof Uint16Array
  const n = colours.channels
  for (let at = 0, alpha = channels - 1; at < colours.data.length; at += n, alpha += channels)
    for (let c = 0; c < n; c++) {
      const product = colours.data[at + c]! * data[alpha]!
      colours.data[at + c] = is16 ? Math.floor(product / 65535 + 0.5) : divide255(product)
    }
}

/** Rounded division of 0..65025 by 255, exact. */
function divide255(product: number): number {
  const t = product + 128
  return ((t >> 8) + t) >> 8
}

const like = (data: Uint8Array | Uint16Array, length: number) =>
  data instanceof Uint16Array ? new Uint16Array(length) : new Uint8Array(length)
