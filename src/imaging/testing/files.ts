import { crc32, deflateSync } from 'node:zlib'

const ascii = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0))
const u32 = (value: number) => Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value)

export function concat(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}

export function pngChunk(name: string, data: Uint8Array = new Uint8Array()): Uint8Array {
  const body = concat(ascii(name), data)
  return concat(u32(data.length), body, u32(crc32(body)))
}

/**
 * A PNG written by hand, for what ordinary encoders do not write.
 *
 * @param rows packed samples of each row, without the filter byte
 * @param extra chunks between the header and the pixels
 */
export function handmadePng(
  header: { height: number; width: number; bits: number; colourType: number },
  rows: Uint8Array[],
  extra: Uint8Array[] = [],
): Uint8Array {
  const { height, width, bits, colourType } = header
  const pixels = concat(...rows.map((row) => concat(Uint8Array.of(0), row)))
  return concat(
    ascii('\x89PNG\r\n\x1a\n'),
    pngChunk('IHDR', concat(u32(width), u32(height), Uint8Array.of(bits, colourType, 0, 0, 0))),
    ...extra,
    pngChunk('IDAT', new Uint8Array(deflateSync(pixels))),
    pngChunk('IEND'),
  )
}

/** A TIFF structure of one directory of 16-bit values: an EXIF block, or with strips a TIFF file. */
export function exifBlock(orientation: number): Uint8Array {
  return tiffDirectory([[274, orientation]])
}

/** Little-endian TIFF directories of 16-bit values, chained, without pixels. */
export function tiffDirectory(...directories: [tag: number, ...values: number[]][][]): Uint8Array {
  const bytes: number[] = [0x49, 0x49, 42, 0, 8, 0, 0, 0]
  const u16 = (v: number) => [v & 255, v >> 8]
  const u32le = (v: number) => [...u16(v & 0xffff), ...u16(v >>> 16)]
  for (const [i, entries] of directories.entries()) {
    const end = bytes.length + 2 + entries.length * 12 + 4
    const tables: number[] = []
    bytes.push(...u16(entries.length))
    for (const [tag, ...values] of entries) {
      bytes.push(...u16(tag), ...u16(3), ...u32le(values.length))
      if (values.length <= 2) bytes.push(...values.flatMap(u16), ...Array(4 - 2 * values.length).fill(0))
      else {
        bytes.push(...u32le(end + tables.length))
        tables.push(...values.flatMap(u16))
      }
    }
    bytes.push(...u32le(i + 1 < directories.length ? end + tables.length : 0), ...tables)
  }
  return Uint8Array.from(bytes)
}

/**
 * A TIFF of one strip, for what ordinary encoders do not write: little-endian, without compression.
 *
 * @param pixels packed samples of all rows, each from a byte of its own on
 * @param palette values of a colour map: 2^bits of red, then of green and of blue
 */
export function handmadeTiff(
  header: { height: number; width: number; bits: number; photometric: number },
  pixels: Uint8Array,
  palette: number[] = [],
): Uint8Array {
  const { height, width, bits, photometric } = header
  const directory = (at: number) =>
    tiffDirectory([
      [256, width],
      [257, height],
      [258, bits],
      [259, 1],
      [262, photometric],
      [273, at],
      [277, 1],
      [278, height],
      [279, pixels.length],
      ...(palette.length > 0 ? [[320, ...palette] as [number, ...number[]]] : []),
    ])
  return concat(directory(directory(0).length), pixels)
}
