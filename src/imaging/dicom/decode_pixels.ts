import { ImageError } from '../image_error.ts'
import type { Voxels } from '../volume.ts'
import { CODECS } from './codecs/codec.ts'
import { unpackBits } from './codecs/unpack_bits.ts'
import { expand422, interleavePlanes, ybrToRgb } from './colour.ts'
import type { DataSet } from './data_set.ts'
import { encapsulatedFrames } from './frames.ts'
import type { DicomFile } from './parse.ts'
import { type PixelFormat, pixelFormat } from './pixel_format.ts'

/** Stored values, before any transform of them. */
export interface Pixels {
  /** [frames, rows, columns, samples]. YCbCr has become RGB; a palette's are indices; MONOCHROME1 is as it is. */
  data: Voxels
  /** As the header says, but for BitsStored where codestreams have more. */
  format: PixelFormat
}

/**
 * Decodes all frames of a DICOM file, whatever its transfer syntax. Bits beyond BitsStored are cleared or, of signed
 * values, filled with the sign. Uncompressed 8-, 16- and 32-bit values that need no change are a view of the file's
 * bytes.
 *
 * @param options.unusedBits 'kept' where uncompressed unsigned values may come with what lies beyond BitsStored, for
 *   callers that clear it as they copy
 * @throws {ImageError} if there are no pixels, or they are damaged, cut short or of a kind that is not read
 * @see DICOM PS3.5, section 8
 */
export async function decodePixels(
  file: DicomFile,
  { unusedBits }: { unusedBits: 'cleared' | 'kept' } = { unusedBits: 'cleared' },
): Promise<Pixels> {
  const format = pixelFormat(file.dataSet)
  if (file.transferSyntax.codec !== null) return encapsulated(file, format)
  const isKept = unusedBits === 'kept' && !format.isSigned && format.samples === 1
  const bitsRead = isKept ? format.bitsAllocated : format.bitsStored
  return { data: native(file.dataSet, { ...format, bitsStored: bitsRead }), format }
}

/** Samples in bytes or words, as they are put together before signs and colours. */
type Words = Uint8Array | Uint16Array | Uint32Array

async function encapsulated({ dataSet, transferSyntax }: DicomFile, format: PixelFormat): Promise<Pixels> {
  const decode = await CODECS[transferSyntax.codec!]()
  const frames = encapsulatedFrames(dataSet, format.numFrames)
  const length = format.rows * format.columns * format.samples
  let out: Voxels | null = null
  let bitsStored = format.bitsStored
  for (const [i, bytes] of frames.entries()) {
    const frame = await decode(bytes, format)
    if (frame.precision > 8 * Math.ceil(format.bitsAllocated / 8))
      throw new ImageError(
        `The compressed pixels have ${frame.precision} bits, but the DICOM header allocates ${format.bitsAllocated}.`,
        'the file is damaged or was written wrongly: export it again.',
      )
    if (frame.colour === 'ybr' && format.samples === 3) ybrToRgb(frame.data, frame.precision)
    const signed = withSign(frame.data, frame.precision, format.isSigned)
    out ??= like(format, length * format.numFrames)
    out.set(signed, i * length)
    bitsStored = Math.max(bitsStored, frame.precision)
  }
  return { data: out!, format: { ...format, bitsStored } }
}

/** An array of the type that the header asks for. */
function like({ bitsAllocated, isSigned }: PixelFormat, length: number): Voxels {
  if (bitsAllocated <= 8) return isSigned ? new Int8Array(length) : new Uint8Array(length)
  if (bitsAllocated === 16) return isSigned ? new Int16Array(length) : new Uint16Array(length)
  return isSigned ? new Int32Array(length) : new Uint32Array(length)
}

function native(dataSet: DataSet, format: PixelFormat): Voxels {
  const { rows, columns, samples, numFrames, photometric, bitsAllocated } = format
  if (dataSet.element(format.element)!.fragments !== null)
    throw new ImageError(
      'The DICOM file names an uncompressed transfer syntax, but its pixels are compressed.',
      'the file was written wrongly: export it again.',
    )
  const length = numFrames * rows * columns * samples
  const is422 = photometric === 'YBR_FULL_422'
  if (is422 && (columns % 2 !== 0 || bitsAllocated !== 8))
    throw new ImageError(
      `The pixels are YBR_FULL_422 with ${columns} columns and ${bitsAllocated} bits, which cannot be paired.`,
      'export the file again as RGB.',
    )
  const numStored = is422 ? (length / 3) * 2 : length
  const bytes = nativeBytes(dataSet, format, Math.ceil((numStored * bitsAllocated) / 8))
  if (bitsAllocated === 1) return unpackBits(bytes, 0, length)
  const isSwapped = dataSet.byteOrder === 'big-endian'
  const words = wordsOf(bytes, bitsAllocated, numStored, isSwapped)
  if (format.element !== 'PixelData')
    return bitsAllocated === 32
      ? new Float32Array(words.buffer, words.byteOffset, length)
      : new Float64Array(words.buffer, words.byteOffset, length)
  if (samples === 1) return withSign(words, format.bitsStored, format.isSigned)
  const pixels = is422
    ? expand422(words, new Uint8Array(length))
    : format.isPlanar
      ? interleavePlanes(words, numFrames, rows * columns)
      : words
  if (photometric !== 'YBR_FULL' && !is422) return withSign(pixels, format.bitsStored, format.isSigned)
  const rgb = pixels === words ? words.slice() : pixels
  ybrToRgb(rgb, format.bitsStored)
  return rgb
}

/** The bytes of uncompressed pixels; words of 16 bits that hold bytes or bits in big endian are put in order. */
function nativeBytes(dataSet: DataSet, format: PixelFormat, expected: number): Uint8Array {
  const { vr } = dataSet.element(format.element)!
  const raw = dataSet.raw(format.element)
  if (raw.length < expected)
    throw new ImageError(
      `The DICOM file is cut short: its pixels take ${expected} bytes by the header, and ${raw.length} are there.`,
      'copy or download it again, or leave the case out.',
    )
  if (dataSet.byteOrder === 'little-endian' || vr !== 'OW' || format.bitsAllocated > 8) return raw
  const swapped = new Uint8Array(expected + (expected % 2))
  for (let i = 0; i < swapped.length; i++) swapped[i] = raw[i ^ 1]!
  return swapped
}

/** A view where the bytes lie as typed arrays need them, else a copy. */
function wordsOf(bytes: Uint8Array, bits: 8 | 16 | 32 | 64, length: number, isSwapped: boolean): Words {
  if (bits === 8) return bytes.subarray(0, length)
  const size = bits / 8
  const isAligned = bytes.byteOffset % size === 0
  const { buffer, byteOffset } = isAligned && !isSwapped ? bytes : bytes.slice(0, length * size)
  if (isSwapped) swap(new Uint8Array(buffer, byteOffset, length * size), size)
  if (bits === 16) return new Uint16Array(buffer, byteOffset, length)
  return new Uint32Array(buffer, byteOffset, (length * size) / 4)
}

function swap(bytes: Uint8Array, size: number): void {
  for (let at = 0; at < bytes.length; at += size) bytes.subarray(at, at + size).reverse()
}

/** Only the lowest `bits` count; signed ones extend their sign. The same memory where nothing changes. */
function withSign(words: Words, bits: number, isSigned: boolean): Voxels {
  const container = 8 * words.BYTES_PER_ELEMENT
  const unused = container - bits
  const { buffer, byteOffset, length } = words
  if (!isSigned) {
    if (unused === 0 || !exceeds(words, 2 ** bits - 1)) return words
    const mask = 2 ** bits - 1
    const out = words.slice()
    for (let i = 0; i < length; i++) out[i] = (out[i]! & mask) >>> 0
    return out
  }
  const signed =
    words instanceof Uint8Array
      ? new Int8Array(buffer, byteOffset, length)
      : words instanceof Uint16Array
        ? new Int16Array(buffer, byteOffset, length)
        : new Int32Array(buffer, byteOffset, length)
  if (unused === 0) return signed
  const out = signed.slice()
  const shift = 32 - bits
  for (let i = 0; i < length; i++) out[i] = (signed[i]! << shift) >> shift
  return out
}

function exceeds(words: Words, largest: number): boolean {
  for (let i = 0; i < words.length; i++) if (words[i]! > largest) return true
  return false
}
