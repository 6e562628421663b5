import { gzip } from '#gzip'
import { checkAffine, reversedAxes, voxelSizes } from '../geometry/affine.ts'
import { ImageError } from '../image_error.ts'
import type { Volume, Voxels } from '../volume.ts'
import { type NiftiType, TYPE_BYTES, TYPE_CODES } from './data_type.ts'
import { quaternionOf } from './form.ts'

/**
 * Writes NIfTI-1, little-endian, in one file: voxels in their own type, unscaled, channels as the fourth axis.
 *
 * The affine goes into the sform, and into the qform too where its axes stand at right angles. NIfTI-1 keeps float32:
 * an affine read from a NIfTI-1 sform comes back bit by bit, any other to 7 digits.
 *
 * @param options.description at most 79 bytes, for people
 * @throws {ImageError} if the affine places no voxel, or an axis is longer than NIfTI-1's 32767
 */
export async function writeNifti(
  volume: Volume,
  options: { gzip: boolean; description?: string },
): Promise<Uint8Array> {
  const { data, channels, shape } = volume
  const type = typeOf(data)
  if (data.length !== channels * shape[0] * shape[1] * shape[2])
    throw new Error(`${data.length} voxels are not ${channels} × ${shape.join(' × ')}`)
  if (Math.max(channels, ...shape) > 32767)
    throw new ImageError(
      `A volume of ${shape.join(' × ')} voxels does not fit NIfTI-1, whose axes end at 32767.`,
      'split it, or resample it to larger voxels.',
    )
  const file = new Uint8Array(DATA_OFFSET + data.byteLength)
  writeHeader(new DataView(file.buffer), volume, type, options.description ?? '')
  file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), DATA_OFFSET)
  return options.gzip ? gzip(file) : file
}

/** Behind the header: four bytes that say there are no extensions. */
const DATA_OFFSET = 352

/** @see nifti1.h for the offsets */
function writeHeader(
  view: DataView,
  { channels, shape, affine }: Volume,
  type: NiftiType,
  description: string,
): void {
  checkAffine(affine)
  const int16 = (offset: number, values: readonly number[]) => {
    for (const [k, value] of values.entries()) view.setInt16(offset + 2 * k, value, true)
  }
  const float = (offset: number, values: readonly number[]) => {
    for (const [k, value] of values.entries()) view.setFloat32(offset + 4 * k, value, true)
  }
  const xyz = reversedAxes(affine)
  const qform = quaternionOf(xyz)
  const [sizeZ, sizeY, sizeX] = voxelSizes(affine)
  view.setInt32(0, 348, true)
  view.setUint8(38, 'r'.charCodeAt(0))
  int16(40, [channels > 1 ? 4 : 3, shape[2], shape[1], shape[0], channels, 1, 1, 1])
  int16(70, [
    Number(Object.keys(TYPE_CODES).find((code) => TYPE_CODES[Number(code)] === type)),
    TYPE_BYTES[type] * 8,
  ])
  float(76, [qform?.qfac ?? 1, sizeX, sizeY, sizeZ, 1, 1, 1, 1])
  float(108, [DATA_OFFSET, 1, 0])
  view.setUint8(123, UNIT_MM)
  text(view, 148, description, 79)
  int16(252, [qform === null ? 0 : SCANNER, SCANNER])
  float(256, [...(qform?.quaternion ?? [0, 0, 0]), xyz[3]!, xyz[7]!, xyz[11]!])
  float(280, xyz.slice(0, 12))
  text(view, 344, 'n+1', 3)
}

const UNIT_MM = 2
/** NIFTI_XFORM_SCANNER_ANAT */
const SCANNER = 1

function text(view: DataView, offset: number, value: string, room: number): void {
  const bytes = new TextEncoder().encode(value).subarray(0, room)
  for (const [k, byte] of bytes.entries()) view.setUint8(offset + k, byte)
}

function typeOf(data: Voxels): NiftiType {
  if (data instanceof Uint8Array) return 'uint8'
  if (data instanceof Int8Array) return 'int8'
  if (data instanceof Uint16Array) return 'uint16'
  if (data instanceof Int16Array) return 'int16'
  if (data instanceof Uint32Array) return 'uint32'
  if (data instanceof Int32Array) return 'int32'
  return data instanceof Float32Array ? 'float32' : 'float64'
}
