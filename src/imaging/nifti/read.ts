import { gunzip, gunzipStart } from '#gzip'
import { ImageError } from '../image_error.ts'
import type { Volume, Voxels } from '../volume.ts'
import { decodeVoxels } from './data_type.ts'
import { HEADER_BYTES, type NiftiHeader, parseHeader } from './header.ts'

/**
 * Reads NIfTI-1 and -2, gzip or not, either byte order, in one file or two.
 *
 * Voxels keep their stored type, 64-bit integers apart, which become float64; scaled ones become float32, or float64
 * where they were 32 bits or more. A fourth axis (or fifth, behind one of size 1) is channels. NaN and infinity are
 * kept. The voxels of an uncompressed file may share the memory of `bytes`.
 *
 * @param bytes the .nii or .nii.gz, or the .hdr of a pair
 * @param image the .img of a pair
 * @throws {ImageError} if it is no NIfTI file, is damaged or cut short, or does not say where its voxels lie
 */
export async function readNifti(bytes: Uint8Array, image?: Uint8Array): Promise<Volume> {
  const header = await readNiftiHeader(bytes)
  const data = await voxelBytes(bytes, header, image)
  const count = header.channels * header.shape[0] * header.shape[1] * header.shape[2]
  const stored = decodeVoxels(data, header.dataOffset, {
    type: header.dtype,
    count,
    littleEndian: header.littleEndian,
  })
  return {
    data: header.scaling === null ? stored : scaled(stored, header.scaling),
    channels: header.channels,
    shape: header.shape,
    affine: header.affine,
  }
}

/**
 * What a file says of its volume, without inflating more than its start.
 *
 * @param bytes the file, or its first 4096 bytes
 * @throws {ImageError} as `readNifti`, but for the voxels
 */
export async function readNiftiHeader(bytes: Uint8Array): Promise<NiftiHeader> {
  if (!isGzip(bytes)) return parseHeader(bytes.subarray(0, HEADER_BYTES))
  try {
    return parseHeader(await gunzipStart(bytes, HEADER_BYTES))
  } catch (cause) {
    throw cause instanceof ImageError ? cause : damaged(cause)
  }
}

/** The file that holds the voxels, uncompressed, and at least as long as the header says. */
async function voxelBytes(bytes: Uint8Array, header: NiftiHeader, image?: Uint8Array): Promise<Uint8Array> {
  if (header.layout === 'pair' && image === undefined) throw halfOfPair()
  const stored = header.layout === 'pair' ? image! : bytes
  const needed = header.dataOffset + header.dataBytes
  if (!isGzip(stored)) {
    if (stored.length < needed) throw tooShort(header, needed, stored.length)
    return stored
  }
  // Deflate makes of one byte 1032 at most: a header that claims more is not believed with an allocation.
  if (needed > stored.length * 1032) throw tooShort(header, needed, stored.length * 1032)
  const inflated = await gunzip(stored, needed, needed + SURPLUS_BYTES).catch((cause: unknown) => {
    throw damaged(cause, needed)
  })
  if (inflated.length < needed) throw tooShort(header, needed, inflated.length)
  return inflated
}

/** Data sets name one file a volume or mask, so that pairs cannot be read there. */
export function halfOfPair(): ImageError {
  return new ImageError(
    'The NIfTI header is one of a pair: its voxels lie in an .img file, which is not read with it here.',
    'write both as one file: nibabel.save(nibabel.load("a.hdr"), "a.nii.gz"); predict takes pairs as they are, each .img beside its .hdr.',
  )
}

/** What may follow the voxels. */
const SURPLUS_BYTES = 1 << 20

function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b
}

function scaled(stored: Voxels, { slope, intercept }: { slope: number; intercept: number }): Voxels {
  const isExactInFloat32 = stored.BYTES_PER_ELEMENT < 4 || stored instanceof Float32Array
  const out = isExactInFloat32 ? new Float32Array(stored.length) : new Float64Array(stored.length)
  for (let i = 0; i < out.length; i++) out[i] = stored[i]! * slope + intercept
  return out
}

function tooShort({ shape, channels, dtype }: NiftiHeader, needed: number, found: number): ImageError {
  return new ImageError(
    `The NIfTI file is cut short: ${channels} × ${shape.join(' × ')} voxels of ${dtype} end at byte ${needed}, ` +
      `and there are at most ${found} bytes.`,
    'copy or download it again, or leave the case out.',
  )
}

function damaged(cause: unknown, needed?: number): ImageError {
  const detail = cause instanceof Error ? cause.message : String(cause)
  const isBomb =
    (cause as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE' || /holds more than/.test(detail)
  return isBomb
    ? new ImageError(
        `The NIfTI file inflates to far more than the ${needed} bytes that its header speaks of.`,
        'it is damaged or made to harm: write it anew from its source, or leave the case out.',
        { cause },
      )
    : new ImageError(
        `The NIfTI file's gzip data are damaged or cut short (${detail}).`,
        'copy or download it again, or leave the case out.',
        { cause },
      )
}
