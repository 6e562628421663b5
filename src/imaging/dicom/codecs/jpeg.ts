import type { PixelFormat } from '../pixel_format.ts'
import { type DecodedFrame, statedColour } from './codec.ts'
import { checkSize } from './damaged.ts'
import { decodeDctScan, type JpegPlane, jpegPlanes, largestFactors } from './jpeg_dct.ts'
import { type JpegFrame, type JpegMarkers, walkJpeg } from './jpeg_header.ts'
import { decodeLosslessScan } from './jpeg_lossless.ts'
import { upsample } from './jpeg_upsample.ts'

/**
 * JPEG baseline, extended (8 and 12 bits) and lossless: the processes 1, 2, 4 and 14 of DICOM. Written here because
 * no kept library reads the 12-bit one both in Node and in a browser; the same bytes everywhere come with it.
 *
 * @see ITU-T T.81
 */
export function decodeJpeg(bytes: Uint8Array, format: PixelFormat): DecodedFrame {
  let frame: JpegFrame | null = null
  let planes: JpegPlane[] = []
  let lossless: Uint8Array | Uint16Array | null = null
  let pointTransform = 0
  const markers = walkJpeg(
    bytes,
    (header) => {
      frame = header
      const { rows, columns, components } = header
      checkSize('JPEG', format, { rows, columns, samples: components.length })
      const length = rows * columns * components.length
      if (header.process === 'dct') planes = jpegPlanes(header)
      else lossless = header.precision > 8 ? new Uint16Array(length) : new Uint8Array(length)
    },
    (scan, at) => {
      pointTransform = scan.pointTransform
      return lossless === null
        ? decodeDctScan(scan, bytes, at, planes)
        : decodeLosslessScan(scan, bytes, at, lossless)
    },
  )
  const { precision, components } = frame! as JpegFrame
  const data = lossless === null ? interleave(planes, components, format) : shifted(lossless, pointTransform)
  return { data, precision, colour: colourOf(markers, components, format) }
}

/** Planes of any sampling to [rows, columns, samples]. */
function interleave(
  planes: readonly JpegPlane[],
  components: JpegFrame['components'],
  { rows, columns }: PixelFormat,
): Uint8Array | Uint16Array {
  const [hMax, vMax] = largestFactors(components)
  const length = rows * columns
  const samples = planes.length
  const out =
    planes[0]!.data instanceof Uint16Array
      ? new Uint16Array(length * samples)
      : new Uint8Array(length * samples)
  for (const [c, plane] of planes.entries()) {
    const { h, v } = components[c]!
    const full = upsample(plane, rows, columns, [vMax / v, hMax / h])
    for (let i = 0, at = c; i < length; i++, at += samples) out[at] = full[i]!
  }
  return out
}

function shifted(data: Uint8Array | Uint16Array, bits: number): Uint8Array | Uint16Array {
  if (bits > 0) for (let i = 0; i < data.length; i++) data[i] = data[i]! << bits
  return data
}

/**
 * What three components are: Adobe's marker tells, then JFIF's, which is always YCbCr, then the components' names,
 * then the DICOM header. Lossless files are RGB unless the header says otherwise.
 */
function colourOf(
  { adobeTransform, hasJfif }: JpegMarkers,
  components: JpegFrame['components'],
  format: PixelFormat,
): DecodedFrame['colour'] {
  if (components.length !== 3) return 'rgb'
  if (adobeTransform !== null) return adobeTransform === 0 ? 'rgb' : 'ybr'
  if (hasJfif) return 'ybr'
  if (String.fromCharCode(...components.map(({ id }) => id)) === 'RGB') return 'rgb'
  return statedColour(format)
}
