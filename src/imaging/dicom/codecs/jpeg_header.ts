import { damaged } from './damaged.ts'
import { type HuffmanTable, huffmanTable } from './jpeg_bits.ts'

export interface JpegComponent {
  id: number
  /** Sampling factors: samples of this component in a minimum coded unit. */
  h: number
  v: number
  quantization: number
}

export interface JpegFrame {
  process: 'dct' | 'lossless'
  precision: number
  rows: number
  columns: number
  components: JpegComponent[]
}

/** What a scan needs, as it stood when the scan began. */
export interface JpegScan {
  frame: JpegFrame
  components: { index: number; dc: HuffmanTable; ac: HuffmanTable | null }[]
  /** Lossless: which predictor, 1 to 7, and by how many bits samples were shifted. */
  predictor: number
  pointTransform: number
  restartInterval: number
  quantization: readonly (Uint16Array | undefined)[]
}

export interface JpegMarkers {
  /** Adobe's marker: 0 RGB, 1 YCbCr; null without. */
  adobeTransform: number | null
  hasJfif: boolean
}

/**
 * Walks a JPEG's markers.
 *
 * @param onFrame once, when the frame header is read, before any scan
 * @param onScan decodes the entropy-coded data at `at` and returns where it ended
 * @throws {ImageError} if the stream is damaged or of a process that DICOM does not use
 * @see ITU-T T.81, annex B
 */
export function walkJpeg(
  bytes: Uint8Array,
  onFrame: (frame: JpegFrame) => void,
  onScan: (scan: JpegScan, at: number) => number,
): JpegMarkers {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) throw damaged('JPEG', 'it does not start as JPEG does')
  const markers: JpegMarkers = { adobeTransform: null, hasJfif: false }
  const quantization: (Uint16Array | undefined)[] = []
  const tables: (HuffmanTable | undefined)[] = []
  let frame: JpegFrame | null = null
  let restartInterval = 0
  let numScanned = 0
  let at = 2
  for (;;) {
    const marker = markerAt(bytes, at)
    at = marker.end
    if (marker.code === 0xd9) break
    const { body, end } = segment(bytes, at)
    at = end
    if (marker.code === 0xdb) readQuantization(body, quantization)
    else if (marker.code === 0xc4) readHuffman(body, tables)
    else if (marker.code === 0xdd) restartInterval = (body[0]! << 8) | (body[1] ?? 0)
    else if (marker.code === 0xe0) markers.hasJfif ||= startsWith(body, 'JFIF')
    else if (marker.code === 0xee && startsWith(body, 'Adobe')) markers.adobeTransform = body[11] ?? null
    else if (isFrameHeader(marker.code)) {
      if (frame !== null) throw damaged('JPEG', 'it has two frame headers')
      frame = readFrame(marker.code, body)
      onFrame(frame)
    } else if (marker.code === 0xda) {
      if (frame === null) throw damaged('JPEG', 'a scan comes before the frame header')
      const scan = readScan(body, frame, tables, { restartInterval, quantization })
      numScanned += scan.components.length
      if (numScanned > frame.components.length) throw damaged('JPEG', 'it has more scans than components')
      at = onScan(scan, at)
      // Some writers leave out the end marker.
      if (numScanned === frame.components.length) break
    }
  }
  if (frame === null || numScanned < frame.components.length)
    throw damaged('JPEG', 'it ends before all components are there')
  return markers
}

function markerAt(bytes: Uint8Array, start: number): { code: number; end: number } {
  let at = start
  if (bytes[at] !== 0xff) throw damaged('JPEG', `there is no marker at its byte ${at}`)
  while (bytes[at] === 0xff) at++
  const code = bytes[at]
  if (code === undefined) throw damaged('JPEG', 'it is cut short')
  return { code, end: at + 1 }
}

function segment(bytes: Uint8Array, at: number): { body: Uint8Array; end: number } {
  const length = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
  if (length < 2 || at + length > bytes.length) throw damaged('JPEG', 'it is cut short within its header')
  return { body: bytes.subarray(at + 2, at + length), end: at + length }
}

function readQuantization(body: Uint8Array, into: (Uint16Array | undefined)[]): void {
  for (let at = 0; at < body.length; ) {
    const [is16, id] = [body[at]! >> 4, body[at]! & 3]
    at++
    if (at + (is16 ? 128 : 64) > body.length) throw damaged('JPEG', 'a quantization table is cut short')
    const table = new Uint16Array(64)
    for (let i = 0; i < 64; i++, at += is16 ? 2 : 1)
      table[i] = is16 ? (body[at]! << 8) | body[at + 1]! : body[at]!
    into[id] = table
  }
}

/** Tables 0 to 3 for DC and lossless differences, 4 to 7 for AC. */
function readHuffman(body: Uint8Array, into: (HuffmanTable | undefined)[]): void {
  for (let at = 0; at < body.length; ) {
    const place = (body[at]! & 3) + (body[at]! >> 4 ? 4 : 0)
    const counts = body.subarray(at + 1, at + 17)
    const total = counts.reduce((sum, count) => sum + count, 0)
    if (counts.length < 16 || at + 17 + total > body.length || total > 256)
      throw damaged('JPEG', 'a Huffman table is cut short')
    into[place] = huffmanTable(counts, body.subarray(at + 17, at + 17 + total))
    at += 17 + total
  }
}

/** SOF0 to SOF15 but for DHT (C4), JPG (C8) and DAC (CC). */
const isFrameHeader = (code: number) =>
  code >= 0xc0 && code <= 0xcf && code !== 0xc4 && code !== 0xc8 && code !== 0xcc

function readFrame(code: number, body: Uint8Array): JpegFrame {
  if (code !== 0xc0 && code !== 0xc1 && code !== 0xc3)
    throw damaged('JPEG', `its process (SOF${code - 0xc0}) is none of baseline, extended and lossless`)
  const process = code === 0xc3 ? 'lossless' : 'dct'
  const [precision = 0, r1 = 0, r0 = 0, c1 = 0, c0 = 0, count = 0] = body
  if (body.length < 6 + 3 * count) throw damaged('JPEG', 'its frame header is cut short')
  const isRead =
    process === 'lossless' ? precision >= 2 && precision <= 16 : precision === 8 || precision === 12
  if (!isRead) throw damaged('JPEG', `its precision is ${precision} bits`)
  const components = Array.from({ length: count }, (_, i) => {
    const [id = 0, factors = 0, quantization = 0] = body.subarray(6 + 3 * i, 9 + 3 * i)
    return { id, h: factors >> 4, v: factors & 15, quantization: quantization & 3 }
  })
  if (components.some(({ h, v }) => h < 1 || h > 4 || v < 1 || v > 4))
    throw damaged('JPEG', 'a sampling factor is out of range')
  return { process, precision, rows: (r1 << 8) | r0, columns: (c1 << 8) | c0, components }
}

function readScan(
  body: Uint8Array,
  frame: JpegFrame,
  tables: readonly (HuffmanTable | undefined)[],
  rest: Pick<JpegScan, 'restartInterval' | 'quantization'>,
): JpegScan {
  const count = body[0] ?? 0
  if (count < 1 || body.length < 4 + 2 * count) throw damaged('JPEG', 'a scan header is cut short')
  const components = Array.from({ length: count }, (_, i) => {
    const id = body[1 + 2 * i]!
    const selectors = body[2 + 2 * i]!
    const index = frame.components.findIndex((component) => component.id === id)
    const dc = tables[(selectors >> 4) & 3]
    const ac = tables[4 + (selectors & 3)] ?? null
    if (index < 0) throw damaged('JPEG', 'a scan names a component that is not there')
    if (dc === undefined || (ac === null && frame.process === 'dct'))
      throw damaged('JPEG', 'a scan uses a Huffman table that is not there')
    return { index, dc, ac }
  })
  const [start = 0, end = 0, shifts = 0] = body.subarray(1 + 2 * count)
  if (frame.process === 'dct' && (start !== 0 || end !== 63))
    throw damaged('JPEG', `a scan covers coefficients ${start} to ${end}, where its process takes 0 to 63`)
  if (frame.process === 'lossless' && (start < 1 || start > 7))
    throw damaged('JPEG', `its predictor is ${start}, where 1 to 7 belong`)
  return { frame, components, predictor: start, pointTransform: shifts & 15, ...rest }
}

function startsWith(body: Uint8Array, text: string): boolean {
  return String.fromCharCode(...body.subarray(0, text.length)) === text
}
