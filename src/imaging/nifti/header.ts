import { checkAffine, reversedAxes } from '../geometry/affine.ts'
import { ImageError } from '../image_error.ts'
import type { Affine, Triple } from '../volume.ts'
import { type NiftiType, niftiType, TYPE_BYTES } from './data_type.ts'
import { qformAffine, sformAffine } from './form.ts'

/** What a NIfTI file says of its volume. */
export interface NiftiHeader {
  version: 1 | 2
  /** Whether the voxels lie in this file, or in the .img beside a .hdr. */
  layout: 'single' | 'pair'
  littleEndian: boolean
  /** [z, y, x] */
  shape: Triple
  channels: number
  dtype: NiftiType
  /** value = stored · slope + intercept; null: as stored. */
  scaling: { slope: number; intercept: number } | null
  affine: Affine
  /** Where the voxels begin, and how many bytes they are, uncompressed. */
  dataOffset: number
  dataBytes: number
}

/** Enough bytes of a file for `parseHeader`. */
export const HEADER_BYTES = 544

/**
 * Reads a NIfTI-1 or -2 header of either byte order.
 *
 * The affine is nibabel's `img.affine`: the sform where its code is not 0, else the qform; in mm, of (z, y, x) indices.
 *
 * @param bytes the uncompressed file, or its first 544 bytes
 * @throws {ImageError} if it is no NIfTI header, or one of a volume that cannot be placed or read
 */
export function parseHeader(bytes: Uint8Array): NiftiHeader {
  const fields = fieldsOf(bytes)
  const dtype = niftiType(fields.int16(fields.version === 1 ? 70 : 12))
  const { shape, channels } = shapeOf(fields.dims)
  return {
    version: fields.version,
    layout: fields.layout,
    littleEndian: fields.littleEndian,
    shape,
    channels,
    dtype,
    scaling: scalingOf(fields),
    affine: affineOf(fields),
    dataOffset: dataOffsetOf(fields),
    dataBytes: channels * shape[0] * shape[1] * shape[2] * TYPE_BYTES[dtype],
  }
}

/** The fields of either version, under the names of nifti1.h. */
interface Fields {
  version: 1 | 2
  layout: 'single' | 'pair'
  littleEndian: boolean
  int16(offset: number): number
  /** dim[0..7] */
  dims: number[]
  /** pixdim[0..7] */
  pixdim: number[]
  voxOffset: number
  slope: number
  intercept: number
  qformCode: number
  sformCode: number
  /** quatern_b, _c, _d and qoffset_x, _y, _z */
  quaternion: number[]
  /** srow_x, _y, _z */
  srows: number[]
  units: number
}

function fieldsOf(bytes: Uint8Array): Fields {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const sizes = bytes.length < 4 ? [] : [view.getInt32(0, true), view.getInt32(0, false)]
  const version = sizes.includes(348) ? 1 : sizes.includes(540) ? 2 : null
  if (version === null)
    throw new ImageError(
      'The file is not NIfTI: it does not begin with the size of a NIfTI header.',
      'give a .nii, .nii.gz or .hdr/.img file; text, DICOM and other formats do not become NIfTI by their names.',
    )
  if (bytes.length < (version === 1 ? 348 : 540))
    throw new ImageError(
      `The NIfTI file is cut short: it ends after ${bytes.length} bytes, within its header.`,
      'copy or download it again, or leave the case out.',
    )
  const littleEndian = sizes[0] === (version === 1 ? 348 : 540)
  const layout = layoutOf(bytes, version)
  const int16 = (offset: number) => view.getInt16(offset, littleEndian)
  const int32 = (offset: number) => view.getInt32(offset, littleEndian)
  const float = (offset: number) => view.getFloat32(offset, littleEndian)
  const double = (offset: number) => view.getFloat64(offset, littleEndian)
  const long = (offset: number) => Number(view.getBigInt64(offset, littleEndian))
  const many = (count: number, read: (offset: number) => number, start: number, step: number) =>
    Array.from({ length: count }, (_, k) => read(start + k * step))
  const common = { version, layout, littleEndian, int16 } as const
  if (version === 1)
    return {
      ...common,
      dims: many(8, int16, 40, 2),
      pixdim: many(8, float, 76, 4),
      voxOffset: float(108),
      slope: float(112),
      intercept: float(116),
      units: bytes[123]!,
      qformCode: int16(252),
      sformCode: int16(254),
      quaternion: many(6, float, 256, 4),
      srows: many(12, float, 280, 4),
    }
  return {
    ...common,
    dims: many(8, long, 16, 8),
    pixdim: many(8, double, 104, 8),
    voxOffset: long(168),
    slope: double(176),
    intercept: double(184),
    qformCode: int32(344),
    sformCode: int32(348),
    quaternion: many(6, double, 352, 8),
    srows: many(12, double, 400, 8),
    units: int32(500),
  }
}

function layoutOf(bytes: Uint8Array, version: 1 | 2): 'single' | 'pair' {
  const magic = String.fromCharCode(...bytes.subarray(version === 1 ? 344 : 4, version === 1 ? 347 : 7))
  if (magic === `n+${version}`) return 'single'
  if (magic === `ni${version}`) return 'pair'
  throw new ImageError(
    version === 1
      ? 'The file has a header of NIfTI\'s size without its mark "n+1" or "ni1": it is ANALYZE 7.5, which does not say how the patient lies, or is damaged.'
      : 'The file has a header of the size of NIfTI-2 without its mark: it is damaged.',
    'convert it from the original scan to NIfTI anew.',
  )
}

/** The axis behind z that is longer than 1, if there is one, holds channels. */
function shapeOf(dims: number[]): { shape: Triple; channels: number } {
  const numAxes = dims[0]!
  if (!(numAxes >= 1 && numAxes <= 7))
    throw new ImageError(
      `The NIfTI file says that it has ${numAxes} axes: it is damaged.`,
      'copy or download it again, or leave the case out.',
    )
  const sizes = dims.slice(1, numAxes + 1)
  const all = sizes.join(' × ')
  if (!sizes.every((size) => Number.isSafeInteger(size) && size > 0))
    throw new ImageError(
      `The NIfTI file says that its size is ${all}: there is nothing in it.`,
      'convert it from the original scan to NIfTI anew, or leave the case out.',
    )
  const beyond = sizes.slice(3).filter((size) => size > 1)
  if (beyond.length > 1)
    throw new ImageError(
      `The NIfTI file has the size ${all}: more than one axis beyond x, y and z, and only one can be channels.`,
      'split it into files of at most four axes.',
    )
  const [x, y = 1, z = 1] = sizes
  return { shape: [z, y, x!], channels: beyond[0] ?? 1 }
}

/** A slope of 0, NaN or infinity means "not scaled"; it is not a multiplier. */
function scalingOf({ slope, intercept }: Fields): NiftiHeader['scaling'] {
  if (slope === 0 || !Number.isFinite(slope) || (slope === 1 && intercept === 0)) return null
  if (!Number.isFinite(intercept))
    throw new ImageError(
      `The NIfTI file scales its values by ${slope} and adds ${intercept}.`,
      'write it anew with a finite scl_inter.',
    )
  return { slope, intercept }
}

/** @see nifti1.h, "3D IMAGE (VOLUME) ORIENTATION AND LOCATION IN SPACE" */
function affineOf(fields: Fields): Affine {
  if (fields.sformCode === 0 && fields.qformCode === 0)
    throw new ImageError(
      'The NIfTI file does not say how the patient lies: its qform_code and its sform_code are both 0.',
      'convert it from the original scan anew, or set its sform and a code of 1 or more where the affine is known.',
    )
  const stored = fields.sformCode !== 0 ? sformAffine(fields) : qformAffine(fields)
  const scale = MM_PER_UNIT[fields.units & 7] ?? 1
  const affine = reversedAxes(stored.map((value, k) => (k < 12 ? value * scale : value)))
  checkAffine(affine)
  return affine
}

/** xyzt_units: 1 metre, 2 mm, 3 micrometre; unknown ones are taken as mm, as everybody does. */
const MM_PER_UNIT: Readonly<Record<number, number>> = { 1: 1000, 2: 1, 3: 0.001 }

function dataOffsetOf({ voxOffset, layout, version }: Fields): number {
  const least = layout === 'pair' ? 0 : version === 1 ? 352 : 544
  if (Number.isSafeInteger(voxOffset) && voxOffset >= least) return voxOffset
  throw new ImageError(
    `The NIfTI file says that its voxels begin at byte ${voxOffset}; its header ends at ${least}.`,
    'it is damaged: copy or download it again, or write it anew.',
  )
}
