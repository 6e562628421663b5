import type { PixelFormat } from '../pixel_format.ts'
import { type DecodedFrame, statedColour } from './codec.ts'
import { checkSize, damaged } from './damaged.ts'
import { type JpegLsParameters, JpegLsScan } from './jpeg_ls_scan.ts'

/**
 * JPEG-LS, lossless and near-lossless, in all three orders of colours. Written here because the kept library for both
 * Node and a browser can be held up for many seconds by a few changed bytes.
 *
 * @see ISO/IEC 14495-1 (ITU-T T.87)
 */
export function decodeJpegLs(bytes: Uint8Array, format: PixelFormat): DecodedFrame {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) throw damaged('JPEG-LS', 'it does not start as JPEG-LS does')
  let frame: Frame | null = null
  let data: Uint8Array | Uint16Array = new Uint8Array()
  let preset: Preset = {}
  let numScanned = 0
  let at = 2
  while (frame === null || numScanned < frame.samples) {
    const code = bytes[at + 1]
    if (bytes[at] !== 0xff || code === undefined)
      throw damaged('JPEG-LS', `there is no marker at its byte ${at}`)
    // FF fills up; a second start follows a SPIFF header.
    at += code === 0xff ? 1 : 2
    if (code === 0xff || code === 0xd8) continue
    if (code === 0xd9) throw damaged('JPEG-LS', 'it ends before all components are there')
    const length = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
    if (length < 2 || at + length > bytes.length)
      throw damaged('JPEG-LS', 'it is cut short within its header')
    const body = bytes.subarray(at + 2, at + length)
    at += length
    if (code === 0xf7) {
      if (frame !== null) throw damaged('JPEG-LS', 'it has two frame headers')
      frame = readFrame(body, format)
      const size = frame.rows * frame.columns * frame.samples
      data = frame.precision > 8 ? new Uint16Array(size) : new Uint8Array(size)
    } else if (code === 0xf8) preset = readPreset(body)
    else if (code === 0xda) {
      const scan = readScan(body, frame)
      const parameters = settled(preset, frame!.precision, scan.near)
      at = decodeScan(new JpegLsScan(bytes, at, parameters), scan, numScanned, frame!, data)
      numScanned += scan.samples
    } else if (code === 0xdd && body.some((byte) => byte !== 0))
      throw damaged('JPEG-LS', 'it has restart markers')
    else if (code === 0xe8 && String.fromCharCode(...body.subarray(0, 4)) === 'mrfx' && body[4] !== 0)
      throw damaged('JPEG-LS', 'its colours are transformed by an extension of the standard')
  }
  return { data, precision: frame.precision, colour: statedColour(format) }
}

interface Frame {
  precision: number
  rows: number
  columns: number
  samples: number
}

function readFrame(body: Uint8Array, format: PixelFormat): Frame {
  const [precision = 0, r1 = 0, r0 = 0, c1 = 0, c0 = 0, samples = 0] = body
  const frame = { precision, rows: (r1 << 8) | r0, columns: (c1 << 8) | c0, samples }
  if (precision < 2 || precision > 16) throw damaged('JPEG-LS', `its precision is ${precision} bits`)
  checkSize('JPEG-LS', format, frame)
  return frame
}

/** Coding parameters that a file may set; 0 stands for the default. */
interface Preset {
  maxval?: number
  thresholds?: [number, number, number]
  reset?: number
}

function readPreset(body: Uint8Array): Preset {
  if (body[0] !== 1 || body.length < 11)
    throw damaged('JPEG-LS', `its parameters of kind ${body[0] ?? 'none'} are not read`)
  const word = (i: number) => (body[1 + 2 * i]! << 8) | body[2 + 2 * i]!
  return { maxval: word(0), thresholds: [word(1), word(2), word(3)], reset: word(4) }
}

/** Given or default parameters. @see ISO/IEC 14495-1, C.2.4.1.1.1 */
function settled(preset: Preset, precision: number, near: number): JpegLsParameters {
  const maxval = preset.maxval || 2 ** precision - 1
  const clamp = (value: number, least: number) => (value > maxval || value < least ? least : value)
  const isLarge = maxval >= 128
  const factor = isLarge ? (Math.min(maxval, 4095) + 128) >> 8 : Math.floor(256 / (maxval + 1))
  const base = (basic: number, least: number, times: number) =>
    isLarge
      ? factor * (basic - least) + least + times * near
      : Math.max(least, Math.floor(basic / factor) + times * near)
  const [given1, given2, given3] = preset.thresholds ?? [0, 0, 0]
  const t1 = given1 || clamp(base(3, 2, 3), near + 1)
  const t2 = given2 || clamp(base(7, 3, 5), t1)
  const t3 = given3 || clamp(base(21, 4, 7), t2)
  const reset = preset.reset || 64
  const isValid =
    maxval < 2 ** precision &&
    near <= Math.min(255, maxval >> 1) &&
    near < t1 &&
    t1 <= t2 &&
    t2 <= t3 &&
    t3 <= maxval
  if (!isValid || reset < 3) throw damaged('JPEG-LS', 'its coding parameters contradict each other')
  return { maxval, near, thresholds: [t1, t2, t3], reset }
}

interface Scan {
  samples: number
  near: number
  order: 'planes' | 'lines' | 'pixels'
}

function readScan(body: Uint8Array, frame: Frame | null): Scan {
  if (frame === null) throw damaged('JPEG-LS', 'a scan comes before the frame header')
  const samples = body[0] ?? 0
  const [near, interleave, pointTransform] = body.subarray(1 + 2 * samples)
  const order = (['planes', 'lines', 'pixels'] as const)[interleave ?? 3]
  const isWhole = order === 'planes' ? samples === 1 : samples === frame.samples && samples > 1
  // One component may call its order anything.
  if (near === undefined || order === undefined || !(isWhole || (samples === 1 && frame.samples === 1)))
    throw damaged('JPEG-LS', 'a scan header contradicts the frame')
  if (pointTransform !== 0) throw damaged('JPEG-LS', 'its samples are shifted')
  return { samples, near, order: samples === 1 ? 'planes' : order }
}

/** @returns where the scan ended */
function decodeScan(
  scan: JpegLsScan,
  { samples, order }: Scan,
  first: number,
  { rows, columns, samples: stride }: Frame,
  data: Uint8Array | Uint16Array,
): number {
  const components = Array.from({ length: samples }, () => ({
    above: new Int32Array(columns + 2),
    current: new Int32Array(columns + 2),
  }))
  const runIndices = components.map(() => 0)
  for (let y = 0; y < rows; y++) {
    if (order === 'pixels') runIndices[0] = scan.line(components, columns, runIndices[0]!)
    else
      for (const [c, component] of components.entries())
        runIndices[c] = scan.line([component], columns, runIndices[c]!)
    for (const [c, component] of components.entries()) {
      const { above, current } = component
      for (let x = 0, at = y * columns * stride + first + c; x < columns; x++, at += stride)
        data[at] = current[x + 1]!
      component.above = current
      component.current = above
    }
  }
  return scan.position
}
