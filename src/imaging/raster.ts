/**
 * Decoded pixels as they lie in the file: interleaved [H, W, C], before any EXIF turn.
 *
 * Channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha, or CMYK where the header's `colour` says so.
 * 8-bit samples are a Uint8Array, 16-bit ones a Uint16Array; narrower samples are widened to 0..255.
 */
export interface Raster {
  data: Uint8Array | Uint16Array
  height: number
  width: number
  channels: 1 | 2 | 3 | 4
}

/**
 * What the samples of a grey image stand for, of formats that say: each table has an entry for every possible sample.
 */
export interface SampleMeaning {
  /** In the units that a window is given in: Hounsfield units and the like. */
  values: Float64Array
  /** In the file's own range of display, 0 to 1; beyond it clipped. */
  display: Float64Array
  /** Shown with low values bright (MONOCHROME1): black and white are exchanged once values are in range. */
  isInverted: boolean
}

/** The same, channel by channel: [C, H, W], the layout of a stored tensor. */
export interface Planes {
  data: Uint8Array | Uint16Array
  channels: 1 | 3
  height: number
  width: number
}
